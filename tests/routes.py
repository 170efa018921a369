"""What the site answers to, found from the site itself: pages from Django's resolver, operations from the OpenAPI,
and what its pages read from a query or a form from their source. Nothing here is a list that somebody must keep."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

import leadloom
from leadloom.site.api import api

SOURCE = Path(leadloom.__file__).parent
NINJAS_OWN = {"openapi-json", "openapi-view", "api-root"}
UNSAFE = ("post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Page:
    name: str
    path: str
    needs: tuple[str, ...]
    """The parameters in its address."""
    is_stream: bool

    def at(self, values: dict[str, object]) -> str:
        """Its address. KeyError for a parameter that nobody has told the test about."""
        path = self.path
        for need in self.needs:
            for converter in ("int:", "str:", "slug:", "uuid:", "path:", ""):
                path = path.replace(f"<{converter}{need}>", str(values[need]))
        return "/" + path


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    in_path: frozenset[str]
    in_query: frozenset[str]
    in_body: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def asks_for(self) -> frozenset[str]:
        return self.in_path | self.in_query | self.in_body


def pages() -> list[Page]:
    """Every address but those of the JSON API, which has its own list, and of the admin, which production has not."""
    found = _flat(get_resolver("leadloom.site.urls").url_patterns, "")
    return [page for page in found if not page.path.startswith(("api/", "admin/"))]


def hidden_operations() -> set[str]:
    """Addresses of the API that its OpenAPI does not tell of."""
    found = _flat(get_resolver("leadloom.site.urls").url_patterns, "")
    known = {operation.path for operation in operations()}
    told = (page for page in found if page.path.startswith("api/") and page.name not in NINJAS_OWN)
    return {"/" + _as_openapi(page.path) for page in told} - known


@cache
def operations() -> tuple[Operation, ...]:
    schema = api.get_openapi_schema()
    return tuple(
        _operation(schema, method, path, told)
        for path, methods in schema["paths"].items()
        for method, told in methods.items()
    )


@cache
def names_read_by_pages() -> frozenset[str]:
    """Every name that a page looks up in its query or form, other than through a Django form."""
    found: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text()
        if (".GET" in text or ".POST" in text) and not file.is_relative_to(SOURCE / "sandbox"):
            found |= _names_read(ast.parse(text))
    return frozenset(found)


def _flat(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[Page]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _flat(pattern.url_patterns, path)
        else:
            is_stream = iscoroutinefunction(pattern.callback)
            yield Page(pattern.name or "", path, tuple(pattern.pattern.converters), is_stream)


def _as_openapi(path: str) -> str:
    return path.replace("<", "{").replace(">", "}").replace("{int:", "{").replace("{str:", "{")


def _operation(schema: Any, method: str, path: str, told: Any) -> Operation:
    parameters = told.get("parameters", [])
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in body:
        body = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    return Operation(
        method,
        path,
        frozenset(one["name"] for one in parameters if one["in"] == "path"),
        frozenset(one["name"] for one in parameters if one["in"] == "query"),
        frozenset(body.get("properties", {})),
    )


def _names_read(tree: ast.Module) -> set[str]:
    """``request.GET.get("x")``, ``request.POST["x"]``, and ``number(request, "x")`` where ``number`` does so."""
    found: set[str] = set()
    readers: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                key = _key_looked_up(node)
                if isinstance(key, ast.Constant):
                    found.add(str(key.value))
                elif key is not None:
                    readers.add(function.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in readers:
            found |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
    return found


def _key_looked_up(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Subscript) and _is_asked(node.value):
        return node.slice
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "getlist")
        and _is_asked(node.func.value)
    ):
        return node.args[0]
    return None


def _is_asked(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("GET", "POST")

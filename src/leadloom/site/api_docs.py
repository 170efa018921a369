"""``/api/docs``: the OpenAPI description as one plain page, written by the server.

No script and nothing from elsewhere, so it works under the site's Content-Security-Policy and on an island.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase

type Json = Mapping[str, Any]

SIGN_IN = {
    "CronAuth": "Authorization: Bearer $CRON_SECRET",
    "TokenAuth": "session cookie with X-CSRFToken, or Authorization: Bearer with an API token",
}


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    is_required: bool
    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    shape: str


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    method: str
    path: str
    summary: str
    text: str
    sign_in: str
    parameters: list[Field]
    body: list[Field]
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    text: str
    fields: list[Field]


class PlainDocs(DocsBase):
    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        schema = api.get_openapi_schema()
        shapes: Json = schema.get("components", {}).get("schemas", {})
        groups: dict[str, list[Call]] = {}
        for tag, call in _calls(schema, shapes):
            groups.setdefault(tag, []).append(call)
        context = {
            "title": api.title,
            "groups": groups,
            "shapes": [Shape(name, _text(shape), _fields(shape)) for name, shape in sorted(shapes.items())],
            "openapi_url": self.get_openapi_url(api, kwargs),
        }
        return render(request, "api_docs.html", context)


def _calls(schema: Json, shapes: Json) -> Iterator[tuple[str, Call]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tags = operation.get("tags") or ["Other"]
            yield tags[0], _call(path, method, operation, shapes)


def _call(path: str, method: str, operation: Json, shapes: Json) -> Call:
    schemes = [name for one in operation.get("security", []) for name in one]
    return Call(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        text=operation.get("description", ""),
        sign_in=next((SIGN_IN[name] for name in schemes if name in SIGN_IN), "a signature in a header"),
        parameters=[
            Field(one["name"], _type(one["schema"]), bool(one.get("required")), _text(one["schema"]), one["in"])
            for one in operation.get("parameters", [])
        ],
        body=_fields(_resolved(_json_schema(operation.get("requestBody", {})), shapes)),
        answers=[
            Answer(str(status), _type(_json_schema(answer)))
            for status, answer in operation.get("responses", {}).items()
        ],
    )


def _json_schema(holder: Json) -> Json:
    found: Json = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _resolved(schema: Json, shapes: Json) -> Json:
    found: Json = shapes[_name(schema["$ref"])] if "$ref" in schema else schema
    return found


def _fields(shape: Json) -> list[Field]:
    required = shape.get("required", [])
    return [
        Field(name, _type(schema), name in required, _text(schema))
        for name, schema in shape.get("properties", {}).items()
    ]


def _text(schema: Json) -> str:
    text: str = schema.get("description", "")
    return text


def _type(schema: Json) -> str:
    """``string or null``, ``list of Thread``, ``append, overwrite or preview``."""
    if "$ref" in schema:
        return _name(schema["$ref"])
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = str(schema.get("type", ""))
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _name(ref: str) -> str:
    return ref.rsplit("/", 1)[-1]

"""The API's own page: whole, and clean under the site's Content-Security-Policy."""

import re

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_page_lists_every_call_and_loads_nothing_from_elsewhere(client: Client) -> None:
    schema = client.get("/api/openapi.json").json()
    page = client.get("/api/docs").content.decode()
    for path in schema["paths"]:
        assert path in page
    assert "https://" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?! src=)", page)
    assert not re.search(r"\son\w+=", page)


def test_every_link_inside_the_page_has_a_target(client: Client) -> None:
    page = client.get("/api/docs").content.decode()
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_every_parameter_has_a_name_and_none_of_a_list_is_required(client: Client) -> None:
    schema = client.get("/api/openapi.json").json()
    parameters = [one for path in schema["paths"].values() for call in path.values() for one in call["parameters"]]
    assert {"after", "limit", "search"} <= {one["name"] for one in parameters}
    assert not [one for one in parameters if not one["name"] or (one["in"] == "query" and one["required"])]


def test_names_on_the_wire_are_camel_case(client: Client) -> None:
    schema = client.get("/api/openapi.json").json()
    names = {name for shape in schema["components"]["schemas"].values() for name in shape.get("properties", {})}
    parameters = {
        one["name"] for path in schema["paths"].values() for call in path.values() for one in call.get("parameters", [])
        if one["in"] != "path"
    }  # fmt: skip
    assert not [name for name in names | parameters if "_" in name]

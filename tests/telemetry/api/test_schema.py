"""The OpenAPI description: complete, without warnings, served."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    GENERATOR_STATS.reset()
    found = SchemaGenerator().get_schema(request=None, public=True)
    warnings = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    assert not warnings
    return dict(found)


def test_it_is_valid(schema: dict[str, Any]) -> None:
    validate_schema(schema)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/readings", {"get", "post"}),
        ("/receipts/{receipt}", {"get"}),
        ("/devices", {"get", "post"}),
        ("/devices/{name}", {"get", "put", "patch", "delete"}),
        ("/devices/{name}/latest", {"get"}),
        ("/devices/{name}/keys", {"get", "post"}),
        ("/devices/{name}/keys/{id}", {"get", "delete"}),
        ("/device-types", {"get", "post"}),
        ("/device-types/{name}", {"get", "put", "patch", "delete"}),
        ("/groups", {"get", "post"}),
        ("/groups/{path}", {"get", "put", "patch", "delete"}),
        ("/keys", {"get", "post"}),
        ("/keys/{id}", {"get", "delete"}),
        ("/quarantine", {"get"}),
        ("/quarantine/{id}", {"get"}),
        ("/quarantine/{id}/replay", {"post"}),
        ("/quarantine/{id}/discard", {"post"}),
        ("/auth/token", {"post"}),
        ("/auth/token/refresh", {"post"}),
    ],
)
def test_every_route_of_the_contract_is_described(schema: dict[str, Any], path: str, methods: set[str]) -> None:
    assert methods <= set(schema["paths"][f"/api/v1{path}"])


def test_every_operation_says_that_it_may_answer_a_problem(schema: dict[str, Any]) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            content = operation["responses"]["default"]["content"]
            assert list(content) == ["application/problem+json"], f"{method} {path}"


def test_device_keys_are_asked_for_where_devices_speak_and_nowhere_else(schema: dict[str, Any]) -> None:
    with_key = {
        (method, path)
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
        if {"deviceKey": []} in operation.get("security", [])
    }
    assert with_key == {("post", "/api/v1/readings"), ("get", "/api/v1/receipts/{receipt}")}


def test_a_new_key_shows_only_in_the_answer_that_makes_it(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    assert "key" in components["IssuedKey"]["properties"]
    assert "key" not in components["DeviceKey"]["properties"]


def test_it_is_served_to_everybody(db: None) -> None:
    served = Client().get("/api/v1/schema", headers={"Accept": "application/json"})
    assert served.status_code == 200
    assert "/api/v1/devices" in json.loads(served.content)["paths"]
    page = Client().get("/api/v1/docs")
    assert page.status_code == 200
    assert b"swagger-ui" in page.content
    assert b"https://cdn" not in page.content

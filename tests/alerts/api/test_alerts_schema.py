"""The API's description of alerts."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/alerts", {"get"}),
        ("/alerts/bulk", {"post"}),
        ("/alerts/{id}", {"get"}),
        ("/alerts/{id}/acknowledge", {"post"}),
        ("/alerts/{id}/assign", {"post"}),
        ("/alerts/{id}/comment", {"post"}),
        ("/alerts/{id}/resolve", {"post"}),
    ],
)
def test_every_route_is_described(schema: dict[str, Any], path: str, methods: set[str]) -> None:
    assert set(schema["paths"][f"/api/v1{path}"]) == methods


def test_a_list_names_its_filters_and_how_it_is_ordered(schema: dict[str, Any]) -> None:
    named = {parameter["name"]: parameter for parameter in schema["paths"]["/api/v1/alerts"]["get"]["parameters"]}
    assert {"state", "severity", "device", "threshold", "metric", "type", "group", "assignee", "since", "until"} <= set(
        named
    )
    assert set(named["state"]["schema"]["items"]["enum"]) == {"open", "acknowledged", "cleared", "resolved"}
    assert set(named["ordering"]["schema"]["enum"]) == {"-opened_at", "opened_at", "-severity"}


def test_an_alert_is_described_with_what_may_be_null(schema: dict[str, Any]) -> None:
    fields = schema["components"]["schemas"]["AlertDetail"]["properties"]
    assert {"explanation", "timeline", "rule", "trigger", "readings"} <= set(fields)
    assert fields["trigger"]["nullable"]
    assert fields["value"]["nullable"]
    assert not fields["opened_at"].get("nullable")


def test_an_action_may_be_told_that_somebody_was_first(schema: dict[str, Any]) -> None:
    assert set(schema["paths"]["/api/v1/alerts/{id}/acknowledge"]["post"]["responses"]) >= {"200", "409", "default"}

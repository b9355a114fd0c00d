"""/api/v1/device-types and the contract of their metrics."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.models import Device, DeviceType, MetricDefinition
from tests.telemetry.api.conftest import Api

TEMPERATURE = {"name": "temperature", "unit": "°C", "kind": "gauge", "low": -40, "high": 150, "expected_interval": 10}
RUNNING = {"name": "running", "unit": "", "kind": "boolean", "low": None, "high": None, "expected_interval": None}
PUMP = {"name": "pump", "description": "moves water", "strict": True, "metrics": [RUNNING, TEMPERATURE]}


def test_a_type_is_made_with_its_metrics_and_read_back(api: Api) -> None:
    made = api.post("device-types", PUMP)
    assert made.status == 201
    assert {name: made.body[name] for name in PUMP} == PUMP
    assert api.get("device-types/pump").body == made.body
    assert api.get("device-types").body["results"] == [made.body]


def test_a_type_without_metrics_takes_any(api: Api) -> None:
    made = api.post("device-types", {"name": "anything"})
    assert (made.status, made.body["strict"], made.body["metrics"]) == (201, False, [])


def test_patch_without_metrics_leaves_them(api: Api) -> None:
    api.post("device-types", PUMP)
    changed = api.patch("device-types/pump", {"strict": False, "name": "big pump"})
    assert changed.body["metrics"] == PUMP["metrics"]
    assert (changed.body["strict"], changed.body["name"]) == (False, "big pump")


def test_patch_replaces_the_list_of_metrics_by_name(api: Api) -> None:
    api.post("device-types", PUMP)
    identity = MetricDefinition.objects.get(name="temperature").pk
    wanted = [TEMPERATURE | {"high": 120, "unit": "K"}, {"name": "pressure"}]
    changed = api.patch("device-types/pump", {"metrics": wanted})
    assert [metric["name"] for metric in changed.body["metrics"]] == ["pressure", "temperature"]
    assert changed.body["metrics"][1] == TEMPERATURE | {"high": 120, "unit": "K"}
    assert MetricDefinition.objects.get(name="temperature").pk == identity


def test_a_metric_sent_again_with_less_loses_what_was_left_out(api: Api) -> None:
    api.post("device-types", PUMP)
    changed = api.patch("device-types/pump", {"metrics": [{"name": "temperature"}]})
    assert changed.body["metrics"] == [RUNNING | {"name": "temperature", "kind": "gauge"}]


def test_a_refused_change_changes_nothing(api: Api) -> None:
    before = api.post("device-types", PUMP).body
    assert api.patch("device-types/pump", {"strict": False, "metrics": [{"name": ""}]}).status == 400
    assert api.get("device-types/pump").body == before


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "required"),
        ({"name": "pump"}, "name", "unique"),
        ({"name": "a/b"}, "name", "invalid_name"),
        ({"name": "t", "metrics": {}}, "metrics", "not_a_list"),
        ({"name": "t", "metrics": ["t"]}, "metrics.0", "invalid"),
        ({"name": "t", "metrics": [{}]}, "metrics.0.name", "required"),
        ({"name": "t", "metrics": [{"name": "a"}, {"name": "a"}]}, "metrics.1.name", "unique"),
        ({"name": "t", "metrics": [{"name": "a", "kind": "text"}]}, "metrics.0.kind", "invalid_choice"),
        ({"name": "t", "metrics": [{"name": "a", "low": 2, "high": 1}]}, "metrics.0.high", "too_low"),
        ({"name": "t", "metrics": [{"name": "a", "low": "inf"}]}, "metrics.0.low", "invalid"),
        ({"name": "t", "metrics": [{"name": "a", "expected_interval": 0}]}, "metrics.0.expected_interval", "min_value"),
        ({"name": "t", "metrics": [{"name": "a", "uint": "°C"}]}, "metrics.0.uint", "unknown_field"),
        ({"name": "t", "metrics": [{"name": str(n)} for n in range(1001)]}, "metrics", "max_length"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_reason(api: Api, body: Any, field: str, code: str) -> None:
    DeviceType.objects.create(name="pump")
    answer = api.post("device-types", body)
    assert answer.status == 400
    assert answer.faults() == {(field, code)}
    assert DeviceType.objects.count() == 1


def test_a_type_in_use_is_not_deleted(api: Api) -> None:
    api.post("device-types", PUMP)
    Device.objects.create(name="pump-7", type=DeviceType.objects.get())
    answer = api.delete("device-types/pump")
    assert answer.status == 409
    assert "1 devices are of this type" in answer.body["detail"]
    Device.objects.all().delete()
    assert api.delete("device-types/pump").status == 204
    assert api.get("device-types/pump").status == 404

"""/api/v1/groups: a tree by path."""

from __future__ import annotations

from typing import Any

import pytest

from telemetry.groups import make_group
from telemetry.models import Device, DeviceGroup
from tests.telemetry.api.conftest import Api


def paths(api: Api) -> list[str]:
    return [group["path"] for group in api.get("groups").body["results"]]


def test_a_group_is_made_with_all_above_it(api: Api) -> None:
    made = api.post("groups", {"path": "plant/hall 1/line-2"})
    assert made.status == 201
    assert made.body == {"path": "plant/hall 1/line-2", "name": "line-2", "parent": "plant/hall 1"}
    assert paths(api) == ["plant", "plant/hall 1", "plant/hall 1/line-2"]
    assert api.get("groups/plant/hall%201").body == {"path": "plant/hall 1", "name": "hall 1", "parent": "plant"}
    assert api.post("groups", {"path": "plant/hall-2"}).body["parent"] == "plant"
    assert DeviceGroup.objects.count() == 4


def test_a_moved_group_takes_what_is_below_it_along(api: Api) -> None:
    make_group("plant/hall-1/line-2")
    moved = api.patch("groups/plant/hall-1", {"path": "works/north/hall-A"})
    assert moved.status == 200
    assert moved.body == {"path": "works/north/hall-A", "name": "hall-A", "parent": "works/north"}
    assert paths(api) == ["plant", "works", "works/north", "works/north/hall-A", "works/north/hall-A/line-2"]


def test_a_group_is_moved_to_the_top(api: Api) -> None:
    make_group("plant/hall-1")
    assert api.patch("groups/plant/hall-1", {"path": "hall-1"}).body["parent"] is None
    assert paths(api) == ["hall-1", "plant"]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "path", "required"),
        ({"path": ""}, "path", "blank"),
        ({"path": "/plant"}, "path", "invalid_name"),
        ({"path": "plant//x"}, "path", "invalid_name"),
        ({"path": "plant/"}, "path", "invalid_name"),
        ({"path": "a\x07b"}, "path", "invalid_name"),
        ({"path": "a/" + "x" * 101}, "path", "max_length"),
        ({"path": "x/" * 500 + "x"}, "path", "max_length"),
        ({"path": "plant"}, "path", "unique"),
        ({"path": ["plant"]}, "path", "invalid"),
        ({"name": "n", "path": "p", "colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_bad_input_is_refused_with_its_field_and_reason(api: Api, body: Any, field: str, code: str) -> None:
    make_group("plant")
    answer = api.post("groups", body)
    assert answer.status == 400
    assert answer.faults() == {(field, code)}
    assert paths(api) == ["plant"]


def test_a_group_does_not_move_below_itself(api: Api) -> None:
    make_group("plant/hall-1")
    assert api.patch("groups/plant", {"path": "plant/hall-1/plant"}).faults() == {("path", "invalid")}
    assert paths(api) == ["plant", "plant/hall-1"]


def test_a_group_with_something_in_it_is_not_deleted(api: Api) -> None:
    group = make_group("plant/hall-1")
    device = Device.objects.create(name="pump-7", group=group)
    assert api.delete("groups/plant").status == 409
    assert api.delete("groups/plant/hall-1").status == 409
    device.delete()
    assert api.delete("groups/plant/hall-1").status == 204
    assert api.delete("groups/plant").status == 204
    assert api.get("groups/plant").status == 404

"""manage.py provision_device."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from telemetry.models import Device, DeviceKey
from telemetry.models.key import digest_of


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("provision_device", *arguments, stdout=out)
    return out.getvalue()


def as_json(*arguments: str) -> dict[str, Any]:
    found = json.loads(run(*arguments, "--json"))
    assert set(found) == {"device", "key"}
    return dict(found)


def test_a_new_device_gets_type_group_and_key(db: None) -> None:
    made = as_json("pump 7 ü", "--type", "pump", "--group", "plant/hall-1")
    device = Device.objects.get()
    assert made["device"] == device.name == "pump 7 ü"
    assert device.type is not None
    assert device.group is not None
    assert (device.type.name, device.group.path) == ("pump", "plant/hall-1")
    key = DeviceKey.objects.get(digest=digest_of(made["key"]))
    assert (key.device, key.all_devices, key.backfill) == (device, False, False)


def test_a_device_that_exists_gets_another_key(db: None) -> None:
    first, second = as_json("pump-7", "--type", "pump"), as_json("pump-7")
    assert first["key"] != second["key"]
    device = Device.objects.get()
    assert device.type is not None
    assert device.keys.count() == 2


def test_a_key_for_all_devices_of_any_age(db: None) -> None:
    as_json("gateway", "--all", "--backfill")
    key = DeviceKey.objects.get()
    assert (key.device, key.all_devices, key.backfill) == (None, True, True)


def test_without_json_people_get_a_command_to_paste(db: None) -> None:
    text = run("pump-7")
    token = re.search(r"iot_\S{56}", text)
    assert token is not None
    assert DeviceKey.objects.filter(digest=digest_of(token[0])).exists()
    assert "curl http://127.0.0.1:8000/api/v1/readings" in text
    assert '-d \'{"device": "pump-7", "metrics": {"temperature": 21.5}}\'' in text


@pytest.mark.parametrize(
    "arguments", [["a/b"], [""], ["x" * 201], ["pump-8", "--type", "a/b"], ["pump-8", "--group", "plant//x"]]
)
def test_a_wrong_name_makes_nothing(db: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert not Device.objects.exists()
    assert not DeviceKey.objects.exists()


def test_what_a_device_is_already_is_not_changed_in_passing(db: None) -> None:
    run("pump-7", "--type", "pump", "--group", "plant")
    for contradiction in (["--type", "meter"], ["--group", "office"]):
        with pytest.raises(CommandError, match="already"):
            run("pump-7", *contradiction)
    assert DeviceKey.objects.count() == 1

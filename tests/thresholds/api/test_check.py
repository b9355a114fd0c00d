"""Checking a threshold before it is saved."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from telemetry.models import Device, DeviceGroup, DeviceSight, DeviceType, MetricDefinition, Series
from tests.telemetry.api.conftest import Api, api_of
from tests.thresholds.conftest import hot, level, person
from thresholds.models import Threshold

pytestmark = pytest.mark.django_db


def check(api: Api, **fields: object) -> dict:
    answer = api.post("thresholds/check", {"threshold": hot(**fields)})
    assert answer.status == 200, answer.body
    return answer.body


def make_pumps() -> DeviceType:
    pump = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=pump, name="temperature", unit="°C")
    for name in ("pump-1", "pump-2"):
        group = DeviceGroup.objects.create(name=name)
        device = Device.objects.create(name=name, type=pump, group=group)
        Series.objects.create(device=device, metric="temperature")
    return pump


def test_it_says_what_the_threshold_means_and_where_it_would_be_judged(api: Api) -> None:
    make_pumps()
    found = check(api, scope={"device_type": "pump"})
    assert found["sentence"].startswith(
        "On every device of type pump: opens a major alert when temperature is above 80 °C"
    )
    assert (found["unit"], found["series"]) == ("°C", {"matching": 2, "devices": ["pump-1", "pump-2"]})
    assert check(api, scope={"device": "pump-2"})["series"]["devices"] == ["pump-2"]
    assert check(api, metric="pressure")["series"] == {"matching": 0, "devices": []}
    assert not Threshold.objects.exists()


def test_what_is_wrong_is_told_at_its_field_and_a_name_may_still_be_missing(api: Api) -> None:
    answer = api.post("thresholds/check", {"threshold": hot(levels=[level(80, 90)])})
    assert answer.status == 400
    assert {field for field, _ in answer.faults()} == {"threshold.levels.0.clear"}
    draft = hot()
    del draft["name"]
    assert api.post("thresholds/check", {"threshold": draft}).status == 200


def test_nothing_is_told_of_devices_that_a_person_does_not_see() -> None:
    make_pumps()
    user = person("ann", "view_threshold")
    DeviceSight.objects.create(user=user).groups.add(DeviceGroup.objects.get(path="pump-1"))
    assert check(api_of(user))["series"] == {"matching": 1, "devices": ["pump-1"]}
    preview = api_of(User.objects.get(pk=user.pk)).post("thresholds/preview", {"threshold": hot()})
    assert preview.body["series"] == {"matching": 1, "judged": 1}


def test_it_takes_the_right_to_see_thresholds() -> None:
    assert api_of(person("eve")).post("thresholds/check", {"threshold": hot()}).status == 403

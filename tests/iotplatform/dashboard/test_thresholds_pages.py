"""The pages of thresholds as the server writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from telemetry.models import Device, DeviceGroup, DeviceSight, DeviceType
from tests.alerts.changes import Pair
from tests.thresholds.conftest import EVERYTHING, hot, level, person
from thresholds import edit
from thresholds.api.fields import ScopeField
from thresholds.models import Threshold

pytestmark = pytest.mark.usefixtures("platform_db")


def signed_in(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or User.objects.create_superuser(f"boss-{User.objects.count()}"))
    return client


def make(user: Any = None, **fields: Any) -> Threshold:
    """A threshold made as the REST API makes one."""
    wanted = hot(**fields)
    defaults = {"description": "", "enabled": True, "for": 0, "consecutive": 1, "clear_for": 0, "max_gap": None}
    defaults |= {"gap_policy": "reset", "schedule": None, "message": "", "overrides": None}
    return edit.create(defaults | wanted | {"scope": ScopeField().to_internal_value(wanted["scope"])}, user)


def names_in(html: str) -> list[str]:
    return [part.split("<")[0].partition(">")[2] for part in html.split('<a class="main"')[1:]]


def test_the_list_says_what_each_means_and_how_many_alerts_are_open() -> None:
    threshold = make()
    pair = Pair.make()
    pair.opened(0).record()
    html = signed_in().get("/thresholds/").content.decode()
    assert "On every device: opens a major alert when temperature is above 80 °C; clears at 75 °C." in html
    assert f'href="/alerts/?threshold={pair.threshold.pk}"' in html
    assert f'href="/alerts/?threshold={threshold.pk}"' not in html


def test_filters_narrow_by_scope_metric_state_and_text() -> None:
    DeviceType.objects.create(name="pump")
    make(name="Everywhere")
    make(name="Pumps", scope={"device_type": "pump"}, metric="pressure")
    make(name="Off", enabled=False)
    client = signed_in()

    def found(query: str) -> list[str]:
        return names_in(client.get(f"/thresholds/?{query}").content.decode())

    assert found("") == ["Everywhere", "Off", "Pumps"]
    assert found("scope=device_type") == ["Pumps"]
    assert found("metric=pressure") == ["Pumps"]
    assert found("enabled=false") == ["Off"]
    assert found("q=WHERE") == ["Everywhere"]
    wrong = client.get("/thresholds/?device=nowhere")
    assert (wrong.status_code, "There is no device" in wrong.content.decode()) == (400, True)
    assert client.get("/thresholds/?page=9999&scope=x&condition=").status_code == 200


def test_a_page_of_many_asks_as_few_questions_as_one_of_few() -> None:
    client = signed_in()
    counts = []
    for number in (2, 20):
        for _ in range(number):
            make()
        client.get("/thresholds/")
        cache.clear()  # the frame keeps its count for a second
        with CaptureQueriesContext(connection) as asked:
            client.get("/thresholds/")
        counts.append(len(asked))
    assert counts[0] == counts[1] < 20


def draft_of(html: str) -> dict[str, Any]:
    return dict(json.loads(html.split('id="draft" type="application/json">')[1].split("</script>")[0]))


def test_the_editor_is_filled_from_what_is_stored_with_its_version() -> None:
    stored = make(levels=[level(80, 75), level(95, None, "critical")], **{"for": 300})
    client = signed_in()
    html = client.get(f"/thresholds/{stored.pk}/").content.decode()
    draft = draft_of(html)
    assert (draft["for"], len(draft["levels"]), draft["scope"]) == (300, 2, {"all": True})
    etag = client.get(f"/api/v1/thresholds/{stored.pk}")["ETag"]
    assert f'data-etag="{etag}"'.replace('""', '"') in html.replace("&quot;", '"').replace('""', '"')
    assert client.get("/thresholds/99999999999999999999/").status_code == 404


def test_a_new_one_is_filled_in_from_the_address_or_from_another() -> None:
    client = signed_in()
    draft = draft_of(client.get("/thresholds/new?device=pump-7&metric=pressure").content.decode())
    assert (draft["scope"], draft["metric"]) == ({"device": "pump-7"}, "pressure")
    stored = make()
    draft = draft_of(client.get(f"/thresholds/new?copy={stored.pk}").content.decode())
    assert (draft["name"], draft["levels"][0]["trigger"]) == ("Bearing hot (copy)", 80)
    assert client.get("/thresholds/new?copy=abc").status_code == 200


def test_what_a_name_says_cannot_become_a_script() -> None:
    stored = make(name="</script><script>alert(1)</script>")
    client = signed_in()
    for page in ("/thresholds/", f"/thresholds/{stored.pk}/"):
        assert "<script>alert(1)" not in client.get(page).content.decode()


def test_history_says_who_changed_what() -> None:
    ann = person("ann", *EVERYTHING)
    stored = make(ann)
    edit.switch([stored.pk], ann, enabled=False)
    html = signed_in().get(f"/thresholds/{stored.pk}/").content.decode()
    assert html.count("by ann") == 2
    assert "<dt>enabled</dt>" in html


def test_deleting_says_what_becomes_of_open_alerts() -> None:
    pair = Pair.make()
    pair.opened(0).record()
    html = signed_in().get(f"/thresholds/{pair.threshold.pk}/").content.decode()
    assert "1 open alert" in html
    assert "threshold removed" in html


def test_who_may_only_look_gets_no_way_to_change() -> None:
    stored = make()
    viewer = signed_in(person("eve", "view_threshold"))
    listed = viewer.get("/thresholds/").content.decode()
    assert ("data-switch" in listed, "/thresholds/new" in listed) == (False, False)
    page = viewer.get(f"/thresholds/{stored.pk}/").content.decode()
    assert ("data-save>" in page, "delete-dialog" in page, '<fieldset class="plain" disabled>' in page) == (
        False,
        False,
        True,
    )
    assert viewer.get("/thresholds/new").status_code == 403
    assert signed_in(person("nobody")).get("/thresholds/").status_code == 403


def test_a_person_sees_thresholds_that_concern_devices_that_he_sees() -> None:
    plant = DeviceGroup.objects.create(name="plant")
    hall = DeviceGroup.objects.create(name="hall", parent=plant)
    other = DeviceGroup.objects.create(name="other")
    Device.objects.create(name="mine", group=hall)
    Device.objects.create(name="theirs", group=other)
    for name, scope in {
        "all": {"all": True},
        "above": {"group": "plant"},
        "own group": {"group": "plant/hall"},
        "own device": {"device": "mine"},
        "other group": {"group": "other"},
        "other device": {"device": "theirs"},
    }.items():
        make(name=name, scope=scope)
    ann = person("ann", "view_threshold")
    DeviceSight.objects.create(user=ann).groups.add(hall)
    client = signed_in(ann)
    assert set(names_in(client.get("/thresholds/").content.decode())) == {"all", "own group", "own device"}
    hidden = Threshold.objects.get(name="other device")
    assert client.get(f"/thresholds/{hidden.pk}/").status_code == 404

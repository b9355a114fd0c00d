"""Thresholds over REST: made, listed, changed, deleted; and who did it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from drf_spectacular.generators import SchemaGenerator

from telemetry.groups import make_group
from telemetry.models import AuditEntry, Device, DeviceType, MetricDefinition, Series
from tests.telemetry.api.conftest import Api, api_of
from tests.thresholds.conftest import hot, level, person, rules_version
from thresholds.models import LateBreaches, Level, Threshold


def test_the_example_of_the_contract_is_taken_and_shown(api: Api) -> None:
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    Device.objects.create(name="pump-7", type=kind)
    body = {
        "name": "Bearing hot",
        "scope": {"device": "pump-7"},
        "metric": "temperature",
        "condition": "above",
        "levels": [
            {"severity": "warning", "trigger": 70, "clear": 65},
            {"severity": "critical", "trigger": 90},
        ],
        "for": 300,
        "consecutive": 1,
        "clear_for": 0,
        "max_gap": None,
        "gap_policy": "reset",
        "schedule": None,
        "enabled": True,
        "message": "",
    }
    made = api.post("thresholds", body)
    assert made.status == 201, made.body
    shown = api.get(f"thresholds/{made.body['id']}")
    assert shown.body == made.body
    assert {name: shown.body[name] for name in body if name != "levels"} == {
        name: value for name, value in body.items() if name != "levels"
    }
    assert shown.body["levels"] == [level(70, 65, "warning"), level(90, None, "critical")]
    assert (shown.body["overrides"], shown.body["unit"], shown.body["description"]) == (None, "°C", "")
    assert shown.body["sentence"] == (
        "On pump-7: opens a warning alert when temperature stays above 70 °C for 5 min, critical above 90 °C; "
        "clears at 65 °C (warning), at 90 °C (critical)."
    )
    assert shown.body["late_breaches"] == {"count": 0, "series": 0, "newest": None}
    assert shown.body["created_at"].endswith("Z")


@pytest.mark.parametrize("kind", ["device", "device_type", "group", "all"])
def test_every_scope_is_kept(api: Api, kind: str) -> None:
    Device.objects.create(name="pump-7")
    DeviceType.objects.create(name="pump")
    make_group("plant/hall-1")
    scope = {kind: {"device": "pump-7", "device_type": "pump", "group": "plant/hall-1", "all": True}[kind]}
    made = api.post("thresholds", hot(scope=scope))
    assert made.status == 201, made.body
    assert api.get(f"thresholds/{made.body['id']}").body["scope"] == scope


@pytest.mark.parametrize("condition", ["outside", "inside"])
def test_ranges_are_kept(api: Api, condition: str) -> None:
    clear = [12, 18] if condition == "outside" else [8, 22]
    levels = [level([10, 20], clear)]
    made = api.post("thresholds", hot(condition=condition, levels=levels))
    assert made.body["levels"] == levels
    assert Level.objects.values_list("trigger", "trigger_high", "clear", "clear_high").get() == (10, 20, *clear)


def test_what_was_got_can_be_put_back(api: Api) -> None:
    schedule = {"zone": "Europe/Berlin", "windows": [{"days": ["mon", "fri"], "start": "22:00", "end": "06:00"}]}
    made = api.post("thresholds", hot(schedule=schedule, message="{device}: {value} {unit}", max_gap=60)).body
    version = rules_version()
    assert api.put(f"thresholds/{made['id']}", made).body == made
    assert rules_version() == version
    assert AuditEntry.objects.count() == 1


def test_a_patch_changes_what_it_names_and_replaces_levels_as_a_whole(api: Api) -> None:
    made = api.post("thresholds", hot(**{"for": 300}, levels=[level(70, severity="warning"), level(80)])).body
    changed = api.patch(f"thresholds/{made['id']}", {"levels": [level(75, 60)]})
    assert changed.status == 200, changed.body
    assert (changed.body["for"], changed.body["levels"]) == (300, [level(75, 60)])
    assert Level.objects.count() == 1


def test_a_put_resets_what_it_leaves_out(api: Api) -> None:
    made = api.post("thresholds", hot(**{"for": 300}, description="old")).body
    assert api.put(f"thresholds/{made['id']}", hot()).body["for"] == 0
    assert api.put(f"thresholds/{made['id']}", {"name": "x"}).status == 400


def test_a_patch_is_checked_with_what_is_stored(api: Api) -> None:
    made = api.post("thresholds", hot()).body
    answer = api.patch(f"thresholds/{made['id']}", {"condition": "outside"})
    assert answer.faults() == {("levels.0.trigger", "range_needed"), ("levels.0.clear", "range_needed")}
    assert api.patch(f"thresholds/{made['id']}", {"condition": "below"}).faults() == {("levels.0.clear", "wrong_side")}


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": ""}, "name", "blank"),
        ({"name": "x" * 201}, "name", "max_length"),
        ({"scope": {}}, "scope", "one_scope"),
        ({"scope": {"device": "a", "group": "b"}}, "scope", "one_scope"),
        ({"scope": {"label": "a"}}, "scope", "one_scope"),
        ({"scope": None}, "scope", "null"),
        ({"scope": "pump-7"}, "scope", "one_scope"),
        ({"scope": {"device": "nobody"}}, "scope.device", "does_not_exist"),
        ({"scope": {"device_type": "none"}}, "scope.device_type", "does_not_exist"),
        ({"scope": {"group": 3}}, "scope.group", "invalid"),
        ({"scope": {"all": False}}, "scope.all", "invalid"),
        ({"metric": "a/b"}, "metric", "invalid_name"),
        ({"metric": ""}, "metric", "blank"),
        ({"condition": "over"}, "condition", "invalid_choice"),
        ({"levels": []}, "levels", "empty"),
        ({"levels": [{"severity": "major"}]}, "levels.0.trigger", "required"),
        ({"levels": [{"severity": "fatal", "trigger": 1}]}, "levels.0.severity", "invalid_choice"),
        ({"levels": [{"severity": "major", "trigger": "hot"}]}, "levels.0.trigger", "invalid"),
        ({"levels": [{"severity": "major", "trigger": True}]}, "levels.0.trigger", "invalid"),
        ({"levels": [{"severity": "major", "trigger": [1, 2, 3]}]}, "levels.0.trigger", "invalid"),
        ({"levels": [{"severity": "major", "trigger": 1, "colour": "red"}]}, "levels.0.colour", "unknown_field"),
        ({"levels": [level(80, 85)]}, "levels.0.clear", "wrong_side"),
        ({"levels": [level(80), level(70, severity="critical")]}, "levels.1.trigger", "level_order"),
        ({"levels": [level(80), level(90)]}, "levels.1.severity", "unique"),
        ({"for": -1}, "for", "min_value"),
        ({"for": "soon"}, "for", "invalid"),
        ({"consecutive": 0}, "consecutive", "min_value"),
        ({"max_gap": 0}, "max_gap", "min_value"),
        ({"gap_policy": "skip"}, "gap_policy", "invalid_choice"),
        ({"schedule": {"zone": "Mars/Base", "windows": []}}, "schedule.zone", "unknown_zone"),
        ({"schedule": []}, "schedule", "invalid_schedule"),
        ({"message": "{colour}"}, "message", "bad_template"),
        ({"overrides": 999}, "overrides", "does_not_exist"),
        ({"overrides": "abc"}, "overrides", "invalid"),
        ({"overrides": 10**30}, "overrides", "max_value"),
        ({"colour": "red"}, "colour", "unknown_field"),
    ],
)
def test_bad_input_is_told_by_field(api: Api, fields: dict[str, Any], field: str, code: str) -> None:
    answer = api.post("thresholds", hot(**fields))
    assert answer.status == 400
    assert (field, code) in answer.faults()
    assert all(fault["detail"] for fault in answer.body["errors"])
    assert not Threshold.objects.exists()


@pytest.mark.parametrize("body", [None, [], "x", 3, [hot()]])
def test_something_else_than_an_object_is_refused(api: Api, body: Any) -> None:
    made = api.post("thresholds", hot()).body
    assert api.post("thresholds", body).status == 400
    if body is not None:
        assert api.patch(f"thresholds/{made['id']}", body).status == 400


def test_overrides_name_another_threshold_of_the_metric(api: Api) -> None:
    general = api.post("thresholds", hot(name="General")).body
    special = api.post("thresholds", hot(overrides=general["id"])).body
    assert special["overrides"] == general["id"]
    assert "“General”" in special["sentence"]
    answer = api.post("thresholds", hot(metric="pressure", overrides=general["id"]))
    assert answer.faults() == {("overrides", "other_metric")}
    # Neither may the overridden one wander off.
    assert api.patch(f"thresholds/{general['id']}", {"metric": "pressure"}).faults() == {("metric", "overridden")}


def test_overriding_in_a_circle_is_refused(api: Api) -> None:
    first = api.post("thresholds", hot(name="first")).body["id"]
    second = api.post("thresholds", hot(name="second", overrides=first)).body["id"]
    third = api.post("thresholds", hot(name="third", overrides=second)).body["id"]
    answer = api.patch(f"thresholds/{first}", {"overrides": third})
    assert answer.faults() == {("overrides", "cycle")}
    assert "this one → third → second → this one" in answer.body["detail"]
    assert api.patch(f"thresholds/{first}", {"overrides": first}).faults() == {("overrides", "cycle")}


def test_a_stale_change_is_refused_where_the_client_asks_for_it(api: Api) -> None:
    path = f"thresholds/{api.post('thresholds', hot()).body['id']}"
    seen = api.get(path).headers["ETag"]
    newer = api.patch(path, {"for": 60}, **{"If-Match": seen})
    assert newer.status == 200
    for answer in (api.patch(path, {"for": 90}, **{"If-Match": seen}), api.send("DELETE", path, **{"If-Match": seen})):
        assert answer.status == 412
        assert "get it again" in answer.body["detail"]
    assert api.get(path).body["for"] == 60
    assert api.send("DELETE", path, **{"If-Match": newer.headers["ETag"]}).status == 204


def test_every_change_is_written_down_with_before_and_after(api: Api) -> None:
    made = api.post("thresholds", hot()).body
    api.patch(f"thresholds/{made['id']}", {"enabled": False})
    api.delete(f"thresholds/{made['id']}")
    deleted, changed, created = AuditEntry.objects.all()
    assert [entry.action for entry in (created, changed, deleted)] == ["created", "changed", "deleted"]
    assert {(entry.kind, entry.object_id, entry.object_name, entry.who_name) for entry in (created, changed)} == {
        ("threshold", made["id"], "Bearing hot", "ada")
    }
    assert created.before is None
    assert created.after == changed.before
    assert created.after == {name: made[name] for name in created.after}
    assert changed.after == created.after | {"enabled": False}
    assert (deleted.before, deleted.after) == (changed.after, None)


def test_deleting_an_overridden_threshold_frees_what_overrode_it(api: Api) -> None:
    general = api.post("thresholds", hot(name="General")).body["id"]
    special = api.post("thresholds", hot(name="Special", overrides=general)).body["id"]
    assert api.delete(f"thresholds/{general}").status == 204
    assert api.get(f"thresholds/{special}").body["overrides"] is None
    entry = AuditEntry.objects.get(object_id=special, action="changed")
    assert (entry.before["overrides"], entry.after["overrides"]) == (general, None)


def test_thresholds_of_a_device_go_with_it_and_are_written_down(shards: None) -> None:
    boss = api_of(User.objects.create_superuser("boss"))
    Device.objects.create(name="pump-7")
    own = boss.post("thresholds", hot(name="Own", scope={"device": "pump-7"})).body["id"]
    boss.post("thresholds", hot(name="Everywhere", overrides=own))
    assert boss.delete("devices/pump-7").status == 204
    assert list(Threshold.objects.values_list("name", "overrides")) == [("Everywhere", None)]
    entry = AuditEntry.objects.get(kind="threshold", action="deleted")
    assert (entry.object_id, entry.who_name, entry.before["scope"]) == (own, "boss", {"device": "pump-7"})


@pytest.fixture
def several(api: Api) -> None:
    kind = DeviceType.objects.create(name="pump")
    Device.objects.create(name="pump-7", type=kind, group=make_group("plant/hall-1/line-2"))
    Device.objects.create(name="pump-8")
    make_group("plant/hall-10")
    for name, scope in [
        ("everywhere", {"all": True}),
        ("seven", {"device": "pump-7"}),
        ("eight", {"device": "pump-8"}),
        ("pumps", {"device_type": "pump"}),
        ("hall", {"group": "plant/hall-1"}),
        ("hall ten", {"group": "plant/hall-10"}),
    ]:
        assert api.post("thresholds", hot(name=name, scope=scope)).status == 201
    api.post("thresholds", hot(name="off", metric="pressure", condition="below", levels=[level(1)], enabled=False))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"device": "pump-7"}, {"everywhere", "seven", "pumps", "hall", "off"}),
        ({"device": "pump-8"}, {"everywhere", "eight", "off"}),
        ({"type": "pump"}, {"pumps"}),
        ({"group": "plant"}, {"hall", "hall ten"}),
        ({"group": "plant/hall-1"}, {"hall"}),
        ({"metric": "pressure"}, {"off"}),
        ({"condition": "below"}, {"off"}),
        ({"enabled": "false"}, {"off"}),
        ({"q": "HALL"}, {"hall", "hall ten"}),
    ],
)
def test_the_list_is_filtered(api: Api, several: None, query: dict[str, str], names: set[str]) -> None:
    assert {row["name"] for row in api.get("thresholds", **query).body["results"]} == names


@pytest.mark.parametrize("name", ["device", "type", "group"])
def test_an_unknown_filter_value_is_told(api: Api, name: str) -> None:
    assert api.get("thresholds", **{name: "nobody"}).faults() == {(name, "does_not_exist")}


def test_the_list_goes_on_page_by_page_in_few_queries(
    api: Api, several: None, django_assert_max_num_queries: Any
) -> None:
    names, url = [], "/api/v1/thresholds?limit=3"
    while url:
        with django_assert_max_num_queries(9):
            page = api.get(url)
        names += [row["name"] for row in page.body["results"]]
        url = page.body["next"]
    assert names == ["everywhere", "seven", "eight", "pumps", "hall", "hall ten", "off"]


def test_late_breaches_are_counted_per_threshold(api: Api) -> None:
    made = api.post("thresholds", hot()).body["id"]
    for number, name in enumerate(("a", "b"), start=1):
        series = Series.objects.create(device=Device.objects.create(name=name), metric="temperature")
        LateBreaches.objects.create(threshold_id=made, series_id=series.pk, count=number, newest=number * 1_000_000)
    late = api.get(f"thresholds/{made}").body["late_breaches"]
    assert late == {"count": 3, "series": 2, "newest": "1970-01-01T00:00:02Z"}


def test_nothing_is_found_where_nothing_is(api: Api) -> None:
    for path in ("thresholds/1", f"thresholds/{10**30}"):
        for answer in (api.get(path), api.patch(path, {}), api.delete(path)):
            assert answer.status == 404


@pytest.mark.parametrize(
    ("method", "path", "permission", "success"),
    [
        ("GET", "thresholds", "view_threshold", 200),
        ("GET", "thresholds/{id}", "view_threshold", 200),
        ("POST", "thresholds", "add_threshold", 201),
        ("PUT", "thresholds/{id}", "change_threshold", 200),
        ("PATCH", "thresholds/{id}", "change_threshold", 200),
        ("DELETE", "thresholds/{id}", "delete_threshold", 204),
    ],
)
def test_one_permission_opens_one_way(api: Api, method: str, path: str, permission: str, success: int) -> None:
    path = path.format(id=api.post("thresholds", hot()).body["id"])
    assert api_of(None).send(method, path, hot()).status == 401
    assert api_of(person("without")).send(method, path, hot()).status == 403
    assert api_of(person("with", permission)).send(method, path, hot()).status == success


def test_every_route_is_described() -> None:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    described = {path.removeprefix("/api/v1/"): set(paths[path]) for path in paths if "/thresholds" in path}
    assert described == {
        "thresholds": {"get", "post"},
        "thresholds/{id}": {"get", "put", "patch", "delete"},
        "thresholds/preview": {"post"},
        "thresholds/check": {"post"},
        "thresholds/export": {"get"},
        "thresholds/import": {"post"},
    }

"""Thresholds as files: what goes out comes back in, over REST and by command; and what is wrong with a file is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from telemetry.groups import make_group
from telemetry.models import AuditEntry, Device, DeviceType
from tests.telemetry.api.conftest import Api, api_of
from tests.thresholds.conftest import hot, level, person, rules_version
from thresholds.bundle import load
from thresholds.models import Threshold

SCHEDULE = {"zone": "Europe/Berlin", "windows": [{"days": ["mon", "tue"], "start": "18:00", "end": "24:00"}]}


@pytest.fixture
def several(api: Api) -> list[dict[str, Any]]:
    """One of each scope; the last one overrides the first."""
    Device.objects.create(name="pump-7")
    DeviceType.objects.create(name="pump")
    make_group("plant/hall-1")
    made = [
        api.post("thresholds", hot(name="Überall", schedule=SCHEDULE, message="{device}: on")).body,
        api.post("thresholds", hot(name="pumps", scope={"device_type": "pump"}, enabled=False)).body,
        api.post("thresholds", hot(name="hall", scope={"group": "plant/hall-1"}, levels=[level(80.5)])).body,
    ]
    ranges = {"condition": "outside", "levels": [level([10, 20], [12, 18])]}
    special = hot(name="seven", scope={"device": "pump-7"}, overrides=made[0]["id"], **ranges)
    return [*made, api.post("thresholds", special).body]


def export(api: Api, form: str, **query: str) -> str:
    response = api.client.get("/api/v1/thresholds/export", {"format": form, **query})
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == f'attachment; filename="thresholds.{form}"'
    return response.content.decode()


def send(api: Api, text: str, form: str, query: str = "") -> Any:
    path = f"thresholds/import{query}"
    return api.send("POST", path, raw=text.encode(), content_type=f"application/{form}")


def shown(api: Api) -> list[dict[str, Any]]:
    volatile = ("id", "overrides", "created_at", "updated_at")
    rows = api.get("thresholds").body["results"]
    names = {row["id"]: row["name"] for row in rows}
    return [
        {name: value for name, value in row.items() if name not in volatile} | {"over": names.get(row["overrides"])}
        for row in rows
    ]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_goes_out_comes_back_in(api: Api, several: Any, form: str) -> None:
    text, before = export(api, form), shown(api)
    Threshold.objects.all().delete()
    answer = send(api, text, form)
    assert (answer.status, answer.body["created"], answer.body["changed"]) == (200, 4, 0), answer.body
    assert sorted(answer.body["ids"]) == sorted(Threshold.objects.values_list("id", flat=True))
    assert shown(api) == before


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_importing_twice_changes_nothing(api: Api, several: Any, form: str) -> None:
    text, version, audited = export(api, form), rules_version(), AuditEntry.objects.count()
    assert send(api, text, form).body == {"dry_run": False, "created": 0, "changed": 0, "unchanged": 4, "ids": []}
    assert (rules_version(), AuditEntry.objects.count()) == (version, audited)


def test_what_differs_is_changed_and_written_down(api: Api, several: Any) -> None:
    content = json.loads(export(api, "json"))
    content["thresholds"][0]["for"] = 60
    answer = api.post("thresholds/import", content)
    assert (answer.body["changed"], answer.body["unchanged"]) == (1, 3)
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.who_name, entry.action, entry.before["for"], entry.after["for"]) == ("ada", "changed", 0, 60)


def test_a_dry_run_only_tells(api: Api, several: Any) -> None:
    content = json.loads(export(api, "json"))
    content["thresholds"][0]["for"] = 60
    content["thresholds"].append(hot(name="new"))
    before, audited = shown(api), AuditEntry.objects.count()
    answer = api.post("thresholds/import?dry_run=true", content)
    assert answer.body == {"dry_run": True, "created": 1, "changed": 1, "unchanged": 3, "ids": []}
    assert (shown(api), AuditEntry.objects.count()) == (before, audited)


def test_a_page_of_the_list_can_be_imported_as_it_is(api: Api, several: Any) -> None:
    rows = api.get("thresholds").body["results"]
    assert api.post("thresholds/import", rows).body["unchanged"] == 4
    assert api.post("thresholds/import", {"thresholds": rows}).body["unchanged"] == 4


def test_an_export_brings_along_what_is_overridden(api: Api, several: Any) -> None:
    names = [item["name"] for item in json.loads(export(api, "json", q="seven"))["thresholds"]]
    assert names == ["Überall", "seven"]


def test_what_is_overridden_may_stand_behind(api: Api) -> None:
    items = [hot(name="c", id=3, overrides=2), hot(name="b", id=2, overrides=1), hot(name="a", id=1)]
    assert api.post("thresholds/import", items).status == 200
    names = dict(Threshold.objects.values_list("name", "overrides__name"))
    assert names == {"c": "b", "b": "a", "a": None}


HANDWRITTEN = """
thresholds:
  - name: no
    scope: {all: true}
    metric: temperature
    condition: above
    levels:
      - {severity: major, trigger: 8e1, clear: 75}
    for: 300
    description: 2026-11-21
    schedule:
      zone: UTC
      windows:
        - {days: [mon], start: 10:00, end: 18:00}
"""


def test_text_that_yaml_would_turn_into_something_else_stays_text(api: Api) -> None:
    assert yaml.safe_load(HANDWRITTEN)["thresholds"][0]["schedule"]["windows"][0]["end"] == 1080
    answer = send(api, HANDWRITTEN, "yaml")
    assert answer.status == 200, answer.body
    (row,) = api.get("thresholds").body["results"]
    assert (row["name"], row["description"], row["levels"]) == ("no", "2026-11-21", [level(80, 75)])
    assert row["schedule"]["windows"][0]["end"] == "18:00"


@pytest.mark.parametrize("content_type", ["application/x-yaml", "text/yaml"])
def test_yaml_has_other_names_too(api: Api, content_type: str) -> None:
    raw = HANDWRITTEN.encode()
    assert api.send("POST", "thresholds/import", raw=raw, content_type=content_type).status == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thresholds: [", "not YAML"),
        ("a: &x [1]\nthresholds: *x", "an alias"),
        ("!!python/object/apply:os.system [id]", "not YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("- - -", "Invalid"),
        ("\x00", "not YAML"),
    ],
)
def test_bad_yaml_is_told(api: Api, text: str, words: str) -> None:
    answer = send(api, text, "yaml")
    assert answer.status == 400
    assert words in answer.body["detail"] or "errors" in answer.body


@pytest.mark.parametrize(
    ("body", "index", "field", "code"),
    [
        ({}, None, None, "invalid"),
        ({"thresholds": {}}, None, None, "invalid"),
        ({"thresholds": []}, None, "thresholds", "invalid"),
        ({"format": "grafana", "thresholds": [hot()]}, None, "format", "invalid"),
        ({"version": 2, "thresholds": [hot()]}, None, "version", "invalid"),
        ([hot(), 3], 1, None, "invalid"),
        ([hot(), hot(name="b", levels=[level(80, 90)])], 1, "levels.0.clear", "wrong_side"),
        ([hot(), hot(name="b", scope={"device": "nobody"})], 1, "scope.device", "does_not_exist"),
        ([hot(), hot()], 1, "name", "unique"),
        ([hot(id=1), hot(name="b", id=1)], None, "thresholds", "unique"),
        ([hot(id="x")], 0, "id", "invalid"),
        ([hot(overrides=7)], 0, "overrides", "does_not_exist"),
        ([hot(id=1, overrides=1)], 0, "overrides", "cycle"),
        ([hot(id=1, overrides=2), hot(name="b", id=2, overrides=1)], 0, "overrides", "cycle"),
        ([hot(id=1, metric="pressure"), hot(name="b", overrides=1)], 1, "overrides", "other_metric"),
    ],
)
def test_what_is_wrong_is_told_by_item_and_field(
    api: Api, body: Any, index: int | None, field: str | None, code: str
) -> None:
    answer = api.post("thresholds/import", body)
    assert answer.status == 400
    assert (index, field, code) in {(each["index"], each["field"], each["code"]) for each in answer.body["errors"]}
    assert not Threshold.objects.exists()


def test_one_that_fits_two_is_not_guessed(api: Api) -> None:
    api.post("thresholds", hot())
    api.post("thresholds", hot())
    assert api.post("thresholds/import", [hot(**{"for": 5})]).faults() == {("name", "ambiguous")}


def test_who_may_do_it(db: None) -> None:
    assert api_of(person("viewer", "view_threshold")).get("thresholds/export").status == 200
    assert api_of(person("nobody")).get("thresholds/export").status == 403
    assert api_of(person("adder", "add_threshold")).post("thresholds/import", [hot()]).status == 403
    editor = api_of(person("editor", "add_threshold", "change_threshold"))
    assert editor.post("thresholds/import", [hot()]).status == 200


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_commands_write_and_read_files(api: Api, several: Any, tmp_path: Path, form: str) -> None:
    path, before = tmp_path / f"rules.{form}", shown(api)
    call_command("export_thresholds", format=form, output=str(path), stdout=io.StringIO())
    Threshold.objects.all().delete()
    said = io.StringIO()
    call_command("import_thresholds", str(path), "--dry-run", stdout=said)
    assert not Threshold.objects.exists()
    call_command("import_thresholds", str(path), stdout=said)
    assert said.getvalue().splitlines() == [
        "would be created: 4, would be changed: 0, unchanged: 0",
        "created: 4, changed: 0, unchanged: 0",
    ]
    assert shown(api) == before
    assert AuditEntry.objects.filter(who_name="system", action="created").count() == 4


def test_the_export_goes_to_standard_output_too(api: Api, several: Any) -> None:
    said = io.StringIO()
    call_command("export_thresholds", name="hall", stdout=said)
    assert [item["name"] for item in load(said.getvalue())["thresholds"]] == ["hall"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[1", "not JSON"),
        ("a: [", "not YAML"),
        (json.dumps([hot(levels=[level(80, 90)])]), "threshold 1, levels.0.clear: It must lie on the safe side"),
        ("[]", "thresholds: Give 1 to"),
    ],
)
def test_a_command_says_what_is_wrong_with_a_file(db: None, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "rules"
    path.write_text(text)
    with pytest.raises(CommandError, match=words):
        call_command("import_thresholds", str(path))


def test_a_file_that_is_not_there_is_told(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_thresholds", str(tmp_path / "none"))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_thresholds", output=str(tmp_path / "no" / "x"))

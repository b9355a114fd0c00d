"""Cursors: every row once, in order, forwards and backwards, however many there are."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telemetry.models import Device, QuarantinedReading
from tests.telemetry.api.conftest import Api


@pytest.fixture
def ten(db: None) -> list[str]:
    found = [f"d{n} ß.%2B&{n}" for n in range(10)]
    Device.objects.bulk_create(Device(name=name) for name in reversed(found))
    return found


def page(answer: Any, field: str = "name") -> list[Any]:
    assert answer.status == 200, answer.body
    return [row[field] for row in answer.body["results"]]


def test_forwards_and_backwards_every_row_comes_once(api: Api, ten: list[str]) -> None:
    answer = api.get("devices", limit=4)
    assert answer.body["previous"] is None
    pages = [page(answer)]
    while answer.body["next"]:
        answer = api.get(answer.body["next"])
        pages.append(page(answer))
    assert pages == [ten[:4], ten[4:8], ten[8:]]
    answer = api.get(answer.body["previous"])
    assert page(answer) == ten[4:8]
    assert page(api.get(answer.body["next"])) == ten[8:]
    answer = api.get(answer.body["previous"])
    assert page(answer) == ten[:4]
    assert answer.body["previous"] is None


def test_newest_first_lists_page_as_well(api: Api) -> None:
    from django.utils import timezone

    QuarantinedReading.objects.bulk_create(
        QuarantinedReading(received_at=timezone.now(), code="malformed") for _ in range(5)
    )
    first = api.get("quarantine", limit=2)
    second = api.get(first.body["next"])
    ids = page(first, "id") + page(second, "id")
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 4
    assert page(api.get(second.body["previous"]), "id") == ids[:2]


def test_rows_that_come_and_go_meanwhile_move_nothing(api: Api, ten: list[str]) -> None:
    first = api.get("devices", limit=4)
    Device.objects.filter(name__in=ten[2:5]).delete()
    Device.objects.create(name="a new one at the front")
    assert page(api.get(first.body["next"])) == ten[5:9]


def test_where_the_rest_is_gone_the_list_can_be_read_on_from_its_start(api: Api, ten: list[str]) -> None:
    first = api.get("devices", limit=4)
    Device.objects.filter(name__in=ten[4:]).delete()
    empty = api.get(first.body["next"])
    assert page(empty) == []
    assert empty.body["next"] is None
    assert page(api.get(empty.body["previous"])) == ten[:4]


def test_links_keep_the_filters_and_the_host(api: Api, ten: list[str]) -> None:
    api.headers["Host"] = "localhost:1234"
    answer = api.get("devices", limit=3, enabled="true")
    assert answer.body["next"].startswith("http://localhost:1234/api/v1/devices?")
    assert "enabled=true" in answer.body["next"]
    assert "limit=3" in answer.body["next"]


@pytest.mark.parametrize(("limit", "rows"), [("0", 1), ("-5", 1), ("3", 3), ("1000000000000000000000", 10)])
def test_the_limit_is_clamped(api: Api, ten: list[str], limit: str, rows: int) -> None:
    assert len(page(api.get("devices", limit=limit))) == rows


def test_the_limit_is_a_hundred_and_at_most_a_thousand(api: Api) -> None:
    Device.objects.bulk_create(Device(name=f"{n:04}") for n in range(1001))
    assert len(page(api.get("devices"))) == 100
    assert len(page(api.get("devices", limit=5000))) == 1000


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


NO_CURSORS = [1, [], [1, "a"], [True], [True, None], [True, "a", 2], [True, ["a"]], [True, True], {"a": 1}]
NO_NAMES = ["\x00", "\ud800", "", "a/b"]
MADE_UP = [
    *("x", "!!", "ö", "a" * 5000, base64.urlsafe_b64encode(b"[" * 100_000).decode()),
    *(cursor(value) for value in NO_CURSORS),
    *(cursor([True, name]) for name in NO_NAMES),
]


@pytest.mark.parametrize("text", MADE_UP, ids=range(len(MADE_UP)))
def test_a_made_up_cursor_is_refused(api: Api, text: str) -> None:
    answer = api.get("devices", cursor=text)
    assert answer.status == 400
    assert answer.faults() == {("cursor", "invalid_cursor")}


@pytest.mark.parametrize("position", ["a", 10**30, -(10**30), True, 1.5])
def test_a_cursor_of_another_list_is_refused(api: Api, position: Any) -> None:
    assert api.get("quarantine", cursor=cursor([True, position])).faults() == {("cursor", "invalid_cursor")}


def test_a_page_deep_inside_of_a_large_fleet_reads_only_its_own_rows(api: Api) -> None:
    Device.objects.bulk_create(Device(name=f"pump-{n:05}") for n in range(20_000))
    with connection.cursor() as database:
        database.execute("ANALYZE telemetry_device")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = api.get("devices", cursor=cursor([True, "pump-15000"]), limit=50)
    assert page(answer)[0] == "pump-15001"
    [listing] = [query["sql"] for query in queries if "ORDER BY" in query["sql"]]
    assert "count(" not in listing.lower().split("min(")[0]
    with connection.cursor() as database:
        database.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {listing}")
        [[[plan]]] = database.fetchall()
    assert rows_read(plan["Plan"]) < 2000, json.dumps(plan, indent=1)


def rows_read(plan: dict[str, Any]) -> float:
    own = plan["Actual Rows"] * plan["Actual Loops"] if "Scan" in plan["Node Type"] else 0
    return own + plan.get("Rows Removed by Filter", 0) + sum(map(rows_read, plan.get("Plans", [])))

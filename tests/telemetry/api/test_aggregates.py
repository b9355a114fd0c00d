"""GET /api/v1/aggregates as clients see it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from telemetry.groups import make_group
from telemetry.models import Device, DeviceSight, DeviceType, MetricDefinition, Series
from telemetry.timeseries.engine import as_microseconds
from tests.telemetry.api.conftest import Api, api_of, person
from tests.telemetry.query.rolled import Inside, begin, put, roll_up

MORNING = datetime(2026, 3, 1, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
AT_10 = as_microseconds(MORNING)
RANGE = {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T13:00:00Z"}
PUMP = {"device": "pump-7", "metric": "temperature", **RANGE}


@pytest.fixture
def database(db: None) -> Inside:
    made = Inside()
    begin(made)
    return made


@pytest.fixture
def plant(database: Inside) -> dict[str, Series]:
    """Three pumps in two halls; pump-7 sends 0 … 5 at 10:00, 10:10 … 10:50, and 10 at 12:30."""
    kind = DeviceType.objects.create(name="pump")
    MetricDefinition.objects.create(device_type=kind, name="temperature", unit="°C")
    halls = [make_group("plant/hall-1"), make_group("plant/hall-1/north"), make_group("plant/hall-2")]
    series = {}
    for name, hall in zip(("pump-7", "pump-8", "pump-9"), halls, strict=True):
        device = Device.objects.create(name=name, group=hall, type=kind)
        series[name] = Series.objects.create(device=device, metric="temperature")
    own = [(series["pump-7"].pk, AT_10 + n * 10 * MINUTE, float(n)) for n in range(6)]
    put(database, [*own, (series["pump-7"].pk, AT_10 + 150 * MINUTE, 10.0)])
    put(database, [(series["pump-8"].pk, AT_10 + n * 10 * MINUTE, 100.0 + n) for n in range(6)])
    put(database, [(series["pump-9"].pk, AT_10, 1000.0)])
    return series


def results(answer: Any) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    return answer.body["results"]


# --- what is answered ----------------------------------------------------------------------------------------------


def test_a_bucket_carries_device_metric_time_functions_and_count(api: Api, plant: Any) -> None:
    answer = api.get("aggregates", **PUMP, bucket="1h", functions="avg,max,last,stddev,p50")
    assert (answer.body["bucket"], answer.body["source"], answer.body["tz"]) == ("1h", "raw", "UTC")
    assert results(answer) == [
        {"device": "pump-7", "metric": "temperature", "time": "2026-03-01T10:00:00Z", "avg": 2.5, "max": 5.0, "last": 5.0,
         "stddev": pytest.approx(1.707825127659933), "p50": 2.5, "count": 6},
        {"device": "pump-7", "metric": "temperature", "time": "2026-03-01T12:00:00Z", "avg": 10.0, "max": 10.0,
         "last": 10.0, "stddev": 0.0, "p50": 10.0, "count": 1},
    ]  # fmt: skip


def test_rolled_up_hours_say_so_and_are_the_same(api: Api, plant: Any, database: Any) -> None:
    before = results(api.get("aggregates", **PUMP, bucket="1h", functions="avg,p95,increase"))
    roll_up(database, AT_10 + 24 * HOUR)
    answer = api.get("aggregates", **PUMP, bucket="1h", functions="avg,p95,increase")
    assert answer.body["source"] == "hour"
    assert results(answer) == before
    assert api.get("aggregates", **PUMP, bucket="10m").body["source"] == "minute"
    assert api.get("aggregates", **PUMP | {"start": "2026-03-01", "end": "2026-03-02"}, bucket="1d").status == 400
    day = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
    assert api.get("aggregates", **PUMP | day, bucket="1d").body["source"] == "day"


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("none", [(0, 2.5, 6), (2, 10.0, 1)]),
        ("null", [(0, 2.5, 6), (1, None, 0), (2, 10.0, 1)]),
        ("previous", [(0, 2.5, 6), (1, 2.5, 0), (2, 10.0, 1)]),
        ("linear", [(0, 2.5, 6), (1, 6.25, 0), (2, 10.0, 1)]),
    ],
)
def test_gaps_are_left_out_shown_or_filled(api: Api, plant: Any, fill: str, expected: Any) -> None:
    found = results(api.get("aggregates", **PUMP, bucket="1h", functions="avg", fill=fill))
    assert [(datetime.fromisoformat(row["time"]).hour - 10, row["avg"], row["count"]) for row in found] == expected


def test_a_group_is_one_line_with_all_groups_below_it_or_one_a_device(api: Api, plant: Any) -> None:
    asked = {"group": "plant/hall-1", "metric": "temperature", **RANGE, "bucket": "1h", "functions": "avg,p50,last"}
    whole = results(api.get("aggregates", **asked))
    assert [(row["group"], row["time"][11:13], row["avg"], row["p50"], row["last"], row["count"]) for row in whole] == [
        ("plant/hall-1", "10", 52.5, 52.5, 5.0, 12),
        ("plant/hall-1", "12", 10.0, 10.0, 10.0, 1),
    ]
    single = results(api.get("aggregates", **asked, per="device"))
    assert [(row["device"], row["avg"]) for row in single] == [("pump-7", 2.5), ("pump-7", 10.0), ("pump-8", 102.5)]


def test_devices_and_groups_may_be_repeated(api: Api, plant: Any) -> None:
    asked = {"device": ["pump-9", "pump-7"], "group": "plant/hall-2", "metric": "temperature", "bucket": "1d", **RANGE}
    found = results(api.get("aggregates", **asked, functions="max"))
    assert [(row.get("device") or row["group"], row["max"]) for row in found] == [
        ("pump-7", 10.0), ("pump-9", 1000.0), ("plant/hall-2", 1000.0),
    ]  # fmt: skip


def test_counters_with_resets(api: Api, plant: Any, database: Any) -> None:
    series = Series.objects.create(device=Device.objects.get(name="pump-9"), metric="starts")
    values = [(-30, 100.0), (0, 103.0), (30, 110.0), (60, 2.0), (90, 5.0), (170, 5.0)]
    put(database, [(series.pk, AT_10 + minute * MINUTE, value) for minute, value in values])
    asked = {"device": "pump-9", "metric": "starts", **RANGE, "bucket": "1h", "functions": "increase,rate"}
    for _ in range(2):
        found = results(api.get("aggregates", **asked))
        # The first step comes from 9:30, the fall to 2 is a start from 0.
        assert [row["increase"] for row in found] == [10.0, 5.0, 0.0]
        assert [row["rate"] for row in found] == pytest.approx([10 / 3600, 5 / 3600, 0.0])
        roll_up(database, AT_10 + 24 * HOUR)


def test_days_of_a_zone_begin_at_its_midnight(api: Api, plant: Any, database: Any) -> None:
    series = plant["pump-9"].pk
    midnight = as_microseconds(datetime(2026, 3, 28, 23, tzinfo=UTC))  # 00:00 on the 29th in Berlin, which has 23 hours
    put(database, [(series, midnight + n * 30 * MINUTE, 1.0) for n in range(-2, 48)])
    asked = {"device": "pump-9", "bucket": "1d", "functions": "sum", "tz": "Europe/Berlin",
             "start": "2026-03-28T00:00:00+01:00", "end": "2026-03-31T00:00:00+02:00"}  # fmt: skip
    found = results(api.get("aggregates", **asked))
    assert [(row["time"], row["count"]) for row in found] == [
        ("2026-03-27T23:00:00Z", 2), ("2026-03-28T23:00:00Z", 46), ("2026-03-29T22:00:00Z", 2),
    ]  # fmt: skip


def test_compared_with_the_period_before(api: Api, plant: Any) -> None:
    asked = {"device": "pump-7", "metric": "temperature", "functions": "avg", "bucket": "1h", "compare": "previous",
             "start": "2026-03-01T12:00:00Z", "end": "2026-03-01T14:00:00Z"}  # fmt: skip
    answer = api.get("aggregates", **asked)
    assert answer.body["compare"] == {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T12:00:00Z"}
    assert [(row["avg"], row["previous"]) for row in results(answer)] == [
        (10.0, {"time": "2026-03-01T10:00:00Z", "avg": 2.5, "count": 6})
    ]
    columns = api.get("aggregates", **asked | {"compare": "2h"}, shape="columns", fill="null").body["series"]
    assert columns[0]["avg"] == [10.0, None]
    assert columns[0]["previous"] == {"avg": [2.5, None], "count": [6, 0]}


def test_columns_for_charts(api: Api, plant: Any) -> None:
    answer = api.get("aggregates", **PUMP, bucket="1h", shape="columns", fill="null", functions="avg,max")
    at = AT_10 // 1000
    assert answer.body["series"] == [
        {"device": "pump-7", "metric": "temperature", "unit": "°C", "time": [at, at + 3_600_000, at + 7_200_000],
         "avg": [2.5, None, 10.0], "max": [5.0, None, 10.0], "count": [6, 0, 1]},
    ]  # fmt: skip


def test_points_choose_the_finest_form_that_fits(api: Api, plant: Any) -> None:
    few = api.get("aggregates", **PUMP, points=100)
    assert (few.body["bucket"], len(results(few))) == ("raw", 7)
    assert few.body["results"][6] == {
        "device": "pump-7", "metric": "temperature", "time": "2026-03-01T12:30:00Z", "value": 10.0,
    }  # fmt: skip
    assert api.get("aggregates", **PUMP, points=5).body["bucket"] == "1h"
    assert api.get("aggregates", **PUMP, points=6, compare="previous").body["bucket"] == "1h"
    group = {"group": "plant", "metric": "temperature", **RANGE}
    assert api.get("aggregates", **group, points=1000).body["bucket"] == "15s"


def test_thinned_readings_keep_the_extremes(api: Api, plant: Any, database: Any) -> None:
    series = plant["pump-9"].pk
    noise = np.random.default_rng(5).normal(20, 1, 5000)
    noise[1234], noise[4321] = 99.0, -99.0
    put(database, [(series, AT_10 + n * SECOND, value) for n, value in enumerate(noise.tolist(), 1)])
    answer = api.get("aggregates", **PUMP | {"device": "pump-9"}, bucket="raw", points=200, shape="columns")
    values = answer.body["series"][0]["value"]
    assert len(values) <= 200 and 99.0 in values and -99.0 in values and 1000.0 in values
    assert answer.body["series"][0]["time"] == sorted(answer.body["series"][0]["time"])


def test_booleans_are_a_share_and_raw_ones_are_booleans(api: Api, plant: Any, database: Any) -> None:
    device = Device.objects.get(name="pump-9")
    series = Series.objects.create(device=device, metric="running", boolean=True)
    put(database, [(series.pk, AT_10 + n * MINUTE, float(n == 1)) for n in range(4)])
    asked = {"device": "pump-9", "metric": "running", **RANGE}
    assert results(api.get("aggregates", **asked, bucket="1h", functions="avg"))[0]["avg"] == 0.25
    assert [row["value"] for row in results(api.get("aggregates", **asked, bucket="raw"))] == [
        False,
        True,
        False,
        False,
    ]


def test_csv_has_the_times_of_the_zone_with_their_offset(api: Api, plant: Any) -> None:
    Device.objects.filter(name="pump-7").update(name="=pump")
    asked = PUMP | {"device": "=pump", "bucket": "1h", "functions": "avg,max", "tz": "Asia/Kolkata", "format": "csv"}
    answer = api.client.get("/api/v1/aggregates", asked)
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert rows == [
        ["device", "metric", "time", "avg", "max", "count"],
        ["'=pump", "temperature", "2026-03-01T15:30:00+05:30", "2.5", "5.0", "6"],
        ["'=pump", "temperature", "2026-03-01T17:30:00+05:30", "10.0", "10.0", "1"],
    ]
    both = {
        "device": "pump-9",
        "group": "plant/hall-1",
        "metric": "temperature",
        **RANGE,
        "bucket": "1d",
        "format": "csv",
    }
    text = b"".join(api.client.get("/api/v1/aggregates", both).streaming_content).decode()
    assert [line.split(",")[:3] for line in text.splitlines()] == [
        ["device", "group", "metric"], ["pump-9", "", "temperature"], ["", "plant/hall-1", "temperature"],
    ]  # fmt: skip


def test_a_device_that_never_sent_the_metric_has_no_results(api: Api, plant: Any) -> None:
    for more in ({"bucket": "1h"}, {"bucket": "raw"}, {"points": 100}, {"bucket": "1h", "fill": "null"}):
        assert results(api.get("aggregates", **PUMP | {"metric": "pressure"}, **more)) == []
    group = {"group": "plant", "metric": "pressure", **RANGE, "bucket": "1d", "functions": "p95"}
    assert results(api.get("aggregates", **group)) == []


# --- what is refused -----------------------------------------------------------------------------------------------

WRONG = [
    ("device", {"device": ""}),
    ("device", {"device": "x" * 201}),
    ("device", {"device": "a\x00b"}),
    ("device", {"device": [f"pump-{n}" for n in range(501)]}),
    ("group", {"group": "g" * 1001}),
    ("metric", {"metric": "m" * 101}),
    ("metric", {"device": "", "group": "plant", "metric": ""}),
    ("start", {"start": "yesterday"}),
    ("start", {"start": "2026-03-01T10:00:00"}),
    ("start", {"start": "9999-01-01T00:00:00Z", "end": ""}),
    ("end", {"end": "1e400"}),
    ("end", {"end": "9999-12-31T23:59:59Z"}),
    ("end", {"end": "2026-03-01T10:00:00Z"}),
    ("bucket", {"bucket": ""}),
    ("bucket", {"bucket": "0h"}),
    ("bucket", {"bucket": "1.5h"}),
    ("bucket", {"bucket": "1 fortnight"}),
    ("bucket", {"bucket": "9999999d"}),
    ("points", {"bucket": "", "points": "1"}),
    ("points", {"bucket": "", "points": "many"}),
    ("points", {"bucket": "", "points": "-5"}),
    ("points", {"bucket": "", "points": "²"}),
    ("points", {"bucket": "", "points": "10001"}),
    ("points", {"points": "100"}),
    ("functions", {"functions": "avg,median"}),
    ("functions", {"functions": "avg;max"}),
    ("tz", {"tz": "Europe/Atlantis"}),
    ("tz", {"tz": "../../etc/passwd"}),
    ("tz", {"tz": "a\x00b"}),
    ("fill", {"fill": "zero"}),
    ("per", {"per": "group"}),
    ("per", {"device": "", "group": "plant", "bucket": "raw"}),
    ("compare", {"compare": "yesterday"}),
    ("compare", {"compare": "previous", "bucket": "raw"}),
    ("shape", {"shape": "square"}),
    ("shape", {"shape": "columns", "format": "csv"}),
]


def test_every_bad_parameter_is_named(api: Api, plant: Any) -> None:
    for parameter, wrong in WRONG:
        answer = api.get("aggregates", **PUMP | {"bucket": "1h"} | wrong)
        assert answer.status == 400, (wrong, answer.body)
        assert "errors" in answer.body, (wrong, answer.body)
        assert {field for field, _ in answer.faults()} == {parameter}, (wrong, answer.body)
        assert len(answer.body["detail"]) > len(parameter) + 10


@pytest.mark.parametrize("bucket", ["1s", "999999y", "999999mo", "999999d", "7w", "5mo", "3q"])
def test_the_edges_of_the_calendar_are_no_fault_of_ours(api: Api, plant: Any, bucket: str) -> None:
    for compare in ("999999y", "999999d", "999999h", "999999mo", "previous"):
        for start in ("0", "1970-01-01T00:00:00+14:00", "2999-12-31T23:00:00Z"):
            asked = PUMP | {"start": start, "end": "2999-12-31T23:59:59Z", "bucket": bucket, "tz": "Pacific/Kiritimati"}
            assert api.get("aggregates", **asked, compare=compare).status in (200, 422)


def test_what_does_not_exist_is_404_also_what_one_does_not_see(api: Api, plant: Any) -> None:
    for wrong in ({"device": "pump-1"}, {"device": ["pump-7", "pump-1"]}, {"device": "", "group": "plant/hall-3"}):
        assert api.get("aggregates", **PUMP | {"bucket": "1h"} | wrong).status == 404
    olga = person("olga", "view_device")
    DeviceSight.objects.create(user=olga).groups.add(make_group("plant/hall-1"))
    hers = api_of(olga)
    asked = {"metric": "temperature", **RANGE, "bucket": "1d"}
    assert [row["device"] for row in results(hers.get("aggregates", **asked, device=["pump-7", "pump-8"]))] == [
        "pump-7", "pump-8",
    ]  # fmt: skip
    assert hers.get("aggregates", **asked, group="plant/hall-1/north").status == 200
    for hidden in (
        {"device": "pump-9"},
        {"device": ["pump-7", "pump-9"]},
        {"group": "plant"},
        {"group": "plant/hall-2"},
    ):
        assert hers.get("aggregates", **asked, **hidden).status == 404


def test_only_who_may_see_devices(stranger: Api, plant: Any) -> None:
    assert stranger.get("aggregates", **PUMP, bucket="1h").status == 401
    assert api_of(person("eve")).get("aggregates", **PUMP, bucket="1h").status == 403


def test_too_much_is_422_and_says_how_to_ask_instead(api: Api, plant: Any, database: Any, settings: Any) -> None:
    year = {"start": "2025-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}
    answer = api.get("aggregates", **PUMP | year, bucket="1m")
    assert answer.status == 422 and answer.faults() == {("bucket", "too_many_points")}
    assert "bucket=15m" in answer.body["detail"]
    assert api.get("aggregates", **PUMP | year, bucket="15m").status == 200

    series = plant["pump-9"].pk
    put(database, [(series, AT_10 + n * SECOND, 1.0) for n in range(1, 2000)])
    settings.PLATFORM = _with(settings.PLATFORM, query_max_rows=1000)
    asked = {"device": "pump-9", "metric": "temperature", **RANGE}
    for more, parameter in (
        ({"bucket": "1h"}, "bucket"),
        ({"bucket": "1h", "functions": "p95"}, "bucket"),
        ({"bucket": "raw"}, "bucket"),
        ({"device": [], "group": "plant", "bucket": "1h", "functions": "p95"}, "functions"),
    ):
        answer = api.get("aggregates", **asked | more)
        assert answer.status == 422 and answer.faults() == {(parameter, "too_many_rows")}, answer.body
    roll_up(database, AT_10 + 24 * HOUR)
    assert results(api.get("aggregates", **asked, bucket="1h", functions="p95"))[0]["count"] == 2000


def _with(platform: Any, **changed: Any) -> Any:
    from dataclasses import replace

    return replace(platform, **changed)


def test_a_question_that_takes_too_long_is_ended(api: Api, plant: Any, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "telemetry.api.aggregates.aggregate_in", lambda cursor, *rest: cursor.execute("SELECT pg_sleep(5)")
    )
    settings.PLATFORM = _with(settings.PLATFORM, query_timeout_seconds=0.1)
    answer = api.get("aggregates", **PUMP, bucket="1h")
    assert answer.status == 503 and answer.headers["Retry-After"] == "1"
    assert "shorter range" in answer.body["detail"]
    monkeypatch.undo()
    assert api.get("aggregates", **PUMP, bucket="1h").status == 200


# --- kept answers --------------------------------------------------------------------------------------------------


def test_a_kept_answer_ends_with_the_first_late_reading(api: Api, plant: Any, database: Any, monkeypatch: Any) -> None:
    roll_up(database, AT_10 + 24 * HOUR)
    asked = PUMP | {"bucket": "1h", "functions": "avg,count"}
    first = api.get("aggregates", **asked)
    tag = first.headers["ETag"]
    assert api.get("aggregates", **asked).headers["ETag"] == tag
    known = api.client.get("/api/v1/aggregates", asked, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (known.status_code, known.content, known["ETag"]) == (304, b"", tag)

    with monkeypatch.context() as patched:  # it comes from the cache: nothing is computed
        patched.setattr("telemetry.api.aggregates.aggregate_in", None)
        assert api.get("aggregates", **asked).body == first.body

    # Of another series, or outside of the range: still true.
    put(database, [(plant["pump-8"].pk, AT_10 + SECOND, 1.0), (plant["pump-7"].pk, AT_10 - HOUR, 1.0)])
    assert api.get("aggregates", **asked).headers["ETag"] == tag
    for rolled_up in (False, True):
        late = AT_10 + MINUTE * (2 if rolled_up else 1)
        put(database, [(plant["pump-7"].pk, late, 2.5)])
        for _ in range(2):
            answer = api.get("aggregates", **asked)
            assert answer.headers["ETag"] != tag
            assert results(answer)[0]["count"] == 7 + rolled_up
            roll_up(database, AT_10 + 24 * HOUR)
        # Rolled up, it is kept again.
        assert api.get("aggregates", **asked).headers["ETag"] == api.get("aggregates", **asked).headers["ETag"]


def test_an_increase_knows_of_a_late_reading_before_its_range(api: Api, plant: Any, database: Any) -> None:
    roll_up(database, AT_10 + 24 * HOUR)
    asked = PUMP | {"bucket": "1h", "functions": "increase"}
    assert results(api.get("aggregates", **asked))[0]["increase"] == 5.0
    put(database, [(plant["pump-7"].pk, AT_10 - 100 * HOUR, -3.0)])
    assert results(api.get("aggregates", **asked))[0]["increase"] == 8.0
    roll_up(database, AT_10 + 24 * HOUR)
    assert results(api.get("aggregates", **asked))[0]["increase"] == 8.0


def test_a_range_that_is_not_over_is_computed_each_time(api: Api, plant: Any, database: Any) -> None:
    roll_up(database, AT_10 + 20 * MINUTE)
    asked = PUMP | {"bucket": "1h", "functions": "max"}
    first = api.get("aggregates", **asked)
    assert first.headers["Cache-Control"] == "private, no-cache"
    same = api.client.get("/api/v1/aggregates", asked, headers={"If-None-Match": first.headers["ETag"]})
    assert same.status_code == 304
    put(database, [(plant["pump-7"].pk, AT_10 + 160 * MINUTE, 11.0)])
    answer = api.client.get("/api/v1/aggregates", asked, headers={"If-None-Match": first.headers["ETag"]})
    assert answer.status_code == 200 and answer.json()["results"][1]["max"] == 11.0


def test_without_the_cache_server_everything_is_answered(api: Api, plant: Any, database: Any, settings: Any) -> None:
    roll_up(database, AT_10 + 24 * HOUR)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
    for _ in range(2):
        assert len(results(api.get("aggregates", **PUMP, bucket="1h"))) == 2


def test_a_year_of_hours_is_cut_into_days_by_points(api: Api, plant: Any) -> None:
    answer = api.get("aggregates", **PUMP | {"start": (MORNING - timedelta(days=365)).isoformat()}, points=2)
    assert answer.body["bucket"] == "1y"

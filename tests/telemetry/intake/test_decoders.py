"""What every decoder promises, whatever the format: the same columns for the same readings, and nothing unaccounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from telemetry.intake.batch import NO_TIME, Columns
from telemetry.intake.decode import ARROW, DECODERS
from telemetry.intake.decode.errors import Malformed, TooManyValues
from tests.telemetry.intake.documents import DOCUMENTS, ENCODERS, Row, count_of, faults_of, rows_of

Decode = Callable[..., Columns]
_START = 1_795_255_200_000_000  # 2026-11-21T10:00:00Z
_MOST = 100_000


def test_every_content_type_is_under_this_contract_or_has_its_own() -> None:
    # A typed format cannot say most of what is refused here: what Arrow promises stands in test_arrow.
    assert ENCODERS.keys() | {ARROW} == DECODERS.keys()


@pytest.fixture(params=sorted(ENCODERS))
def decode(request: pytest.FixtureRequest) -> Decode:
    """Document to columns, by way of the bytes of one content type."""
    return lambda document, most=_MOST: DECODERS[request.param](ENCODERS[request.param](document), most)


def iso(second: int) -> str:
    return f"2026-11-21T10:00:{second:02}Z"


def values_in(document: Any) -> int:
    """How many values a valid document holds."""
    if isinstance(document, dict):
        document = document.get("readings", [document])
    columns = [column for reading in document for column in reading["metrics"].values()]
    return sum(len(column) - column.count(None) if isinstance(column, list) else 1 for column in columns)


PLAIN = [
    {"device": "pump-7", "time": iso(second), "metrics": {"temperature": 20.5 + second, "running": second % 2 == 0}}
    for second in range(10)
]
EXPECTED = [
    Row(index, "pump-7", metric, _START + index * 1_000_000, value, metric == "running")
    for index in range(10)
    for metric, value in (("temperature", 20.5 + index), ("running", float(index % 2 == 0)))
]
COMPACT = {
    "device": "pump-7",
    "times": [reading["time"] for reading in PLAIN],
    "metrics": {name: [reading["metrics"][name] for reading in PLAIN] for name in ("temperature", "running")},
}


@pytest.mark.parametrize("document", [PLAIN, {"readings": PLAIN}], ids=["array", "wrapped"])
def test_an_array_and_a_wrapped_one_say_the_same(decode: Decode, document: Any) -> None:
    assert rows_of(decode(document)) == EXPECTED


def test_one_object_is_an_array_of_one(decode: Decode) -> None:
    assert rows_of(decode(PLAIN[0])) == rows_of(decode(PLAIN[:1])) == EXPECTED[:2]


@pytest.mark.parametrize("document", [COMPACT, [COMPACT], {"readings": [COMPACT]}], ids=["object", "array", "wrapped"])
def test_the_compact_form_says_the_same(decode: Decode, document: Any) -> None:
    def by_metric(row: Row) -> tuple[str, int]:
        return row.metric, row.time

    wanted = [row._replace(index=0) for row in EXPECTED]
    assert sorted(rows_of(decode(document)), key=by_metric) == sorted(wanted, key=by_metric)


def test_plain_and_compact_readings_may_stand_side_by_side(decode: Decode) -> None:
    rows = rows_of(decode([PLAIN[0], COMPACT, PLAIN[1]]))
    assert rows[:2] == EXPECTED[:2]
    assert {row.index for row in rows[2:22]} == {1}
    assert rows[22:] == [row._replace(index=2) for row in EXPECTED[2:4]]


def test_numbers_are_as_good_as_texts_for_times(decode: Decode) -> None:
    numbers = [{**reading, "time": _START // 1_000_000 + second} for second, reading in enumerate(PLAIN)]
    assert rows_of(decode(numbers)) == EXPECTED


def test_what_is_left_out_is_left_open(decode: Decode) -> None:
    assert rows_of(decode({"metrics": {"a": 1}})) == [Row(0, None, "a", NO_TIME, 1.0, False)]
    nulls = {"device": None, "time": None, "times": None, "metrics": {"a": 1}}
    assert rows_of(decode(nulls)) == rows_of(decode({"metrics": {"a": 1}}))


def test_null_in_the_compact_form_is_no_value(decode: Decode) -> None:
    document = {"times": [1, 2, 3], "metrics": {"a": [None, 5, True], "b": [None, None, None]}}
    columns = decode(document)
    assert [(row.metric, row.time // 1_000_000, row.value, row.boolean) for row in rows_of(columns)] == [
        ("a", 2, 5.0, False), ("a", 3, 1.0, True),
    ]  # fmt: skip
    assert "b" not in columns.metrics, "a metric of which nothing was sent must not become a series"


@given(DOCUMENTS)
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("content_type", sorted(ENCODERS))
def test_every_value_of_a_valid_document_is_accounted_for(content_type: str, document: Any) -> None:
    sent = values_in(document)
    try:
        columns = DECODERS[content_type](ENCODERS[content_type](document), _MOST)
    except Malformed:
        assert sent == 0
        return
    assert count_of(columns) == sent
    assert {code for _, _, code, _ in faults_of(columns)} <= {"invalid_time"}, (
        "numbers may be no time; else all is valid"
    )


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str, str, list[str]]] = {
    # name: (what is done to a reading {device, time, metrics: {temperature, running}}, field, code, metrics that it costs)
    "text value": (
        lambda r: r["metrics"].update(temperature="21.5"),
        "metrics.temperature",
        "invalid_value",
        ["temperature"],
    ),
    "null value": (
        lambda r: r["metrics"].update(temperature=None),
        "metrics.temperature",
        "invalid_value",
        ["temperature"],
    ),
    "list value": (
        lambda r: r["metrics"].update(temperature=[1]),
        "metrics.temperature",
        "invalid_value",
        ["temperature"],
    ),
    "nested value": (lambda r: r["metrics"].update(running={"a": 1}), "metrics.running", "invalid_value", ["running"]),
    "NaN": (lambda r: r["metrics"].update(running=float("nan")), "metrics.running", "not_finite", ["running"]),
    "infinity": (lambda r: r["metrics"].update(running=float("-inf")), "metrics.running", "not_finite", ["running"]),
    "no time": (lambda r: r.update(time="yesterday"), "time", "invalid_time", ["temperature", "running"]),
    "no offset": (lambda r: r.update(time="2026-11-21T10:00:00"), "time", "invalid_time", ["temperature", "running"]),
    "time true": (lambda r: r.update(time=True), "time", "invalid_time", ["temperature", "running"]),
    "time list": (lambda r: r.update(time=[1]), "time", "invalid_time", ["temperature", "running"]),
    "number device": (lambda r: r.update(device=7), "device", "malformed", ["temperature", "running"]),
    "unknown field": (lambda r: r.update(site="north"), "site", "malformed", ["temperature", "running"]),
    "time and times": (lambda r: r.update(times=[1]), "times", "malformed", ["temperature", "running"]),
    "times a number": (lambda r: (r.pop("time"), r.update(times=1)), "times", "malformed", ["temperature", "running"]),
    "metrics a list": (lambda r: r.update(metrics=[1, 2]), "metrics", "malformed", ["temperature", "running"]),
    "no metrics": (lambda r: r.pop("metrics"), "metrics", "malformed", ["temperature", "running"]),
    "empty metrics": (lambda r: r.update(metrics={}), "metrics", "malformed", ["temperature", "running"]),
}


@pytest.mark.parametrize("place", [0, 4, 9])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_fault_costs_exactly_what_it_spoils(decode: Decode, fault: str, place: int) -> None:
    spoil, field, code, lost = FAULTS[fault]
    readings = [{**reading, "metrics": dict(reading["metrics"])} for reading in PLAIN]
    spoil(readings[place])
    for document in (readings, {"readings": readings}):
        columns = decode(document)
        ((index, where, reason, _),) = faults_of(columns)
        assert (index, where, reason) == (place, field, code)
        assert rows_of(columns) == [row for row in EXPECTED if row.index != place or row.metric not in lost]
        unreadable = field == "metrics"  # whatever it is, it counts as one
        assert count_of(columns) == (19 if unreadable else 20), "accepted + rejected = sent"
        assert columns.rejections[0].detail
        assert columns.rejections[0].payload


@pytest.mark.parametrize("entry", [["x"], "x", None, 5, True])
def test_an_entry_that_is_no_reading_is_refused_alone(decode: Decode, entry: Any) -> None:
    columns = decode([PLAIN[0], entry, PLAIN[1]])
    assert faults_of(columns) == [(1, "", "malformed", 1)]
    assert [row.index for row in rows_of(columns)] == [0, 0, 2, 2]


def test_faults_of_the_compact_form_are_found_value_by_value(decode: Decode) -> None:
    document = {
        "times": [1, "never", 3],
        "metrics": {"a": [1, 2, "x"], "b": [True, None, None], "short": [1, 2], "scalar": 5},
    }
    columns = decode([PLAIN[0], document])
    assert sorted(faults_of(columns), key=str) == [
        (1, "metrics.a", "invalid_value", 1),
        (1, "metrics.short", "malformed", 3),  # scalar is counted with it
        (1, "times.1", "invalid_time", 1),
    ]
    assert [(row.metric, row.value) for row in rows_of(columns)[2:]] == [("a", 1.0), ("b", 1.0)]
    assert count_of(columns) == 2 + 4 + 3


@pytest.mark.parametrize(
    "document", [[], {"readings": []}, {"times": [], "metrics": {"a": []}}, {"times": [1], "metrics": {"a": [None]}}]
)
def test_a_body_without_a_value_is_malformed(decode: Decode, document: Any) -> None:
    with pytest.raises(Malformed, match="no value"):
        decode(document)


@pytest.mark.parametrize(
    "document", [None, True, 5, "text", {"readings": {}}, {"readings": [], "more": 1}, {"readings": "x"}]
)
def test_a_body_that_holds_no_readings_is_malformed(decode: Decode, document: Any) -> None:
    with pytest.raises(Malformed):
        decode(document)


@pytest.mark.parametrize(
    "document",
    [
        PLAIN,
        COMPACT,
        [{"metrics": {f"m{n}": n for n in range(20)}}],
        [{"metrics": {f"m{n}": "x" for n in range(20)}}],  # refused values count as well
        [{"metrics": {"a": 1}}] * 10 + [{"metrics": {"a": "x"}}] * 10,
        ["x"] * 20,
    ],
    ids=["plain", "compact", "wide", "all refused", "mixed", "no readings"],
)
def test_a_request_may_hold_as_many_values_as_allowed_and_no_more(decode: Decode, document: Any) -> None:
    assert count_of(decode(document, 20)) == 20
    with pytest.raises(TooManyValues, match="19 values"):
        decode(document, 19)


def test_a_refused_reading_is_kept_as_it_was_sent(decode: Decode) -> None:
    (refused,) = decode([{**PLAIN[0], "site": "north"}]).rejections
    assert (refused.device, refused.count) == ("pump-7", 2)
    again = decode({name: value for name, value in json.loads(refused.payload).items() if name != "site"})
    assert rows_of(again) == EXPECTED[:2]

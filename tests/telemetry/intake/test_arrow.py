"""Arrow IPC streams: they say what JSON says, and nothing in them can do harm."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.intake.batch import NO_TIME, Columns
from telemetry.intake.decode import ARROW, DECODERS
from telemetry.intake.decode.errors import Malformed, TooManyValues
from tests.telemetry.intake.documents import Row, count_of, faults_of, rows_of

_MOST = 100_000
_START = 1_795_255_200_000_000  # 2026-11-21T10:00:00Z
_UTC = pa.timestamp("us", tz="UTC")


def stream(columns: Mapping[str, Any] | pa.Table, rows_a_batch: int = 1000, **options: Any) -> bytes:
    """Columns as a sender writes them."""
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, rows_a_batch)
    return sink.getvalue()


def decoded(columns: Mapping[str, Any] | pa.Table, most: int = _MOST, **options: Any) -> Columns:
    return DECODERS[ARROW](stream(columns, **options), most)


def by_series(columns: Columns) -> dict[tuple[str | None, str], list[Row]]:
    """Rows of each series, in their order."""
    found: dict[tuple[str | None, str], list[Row]] = {}
    for row in rows_of(columns):
        found.setdefault((row.device, row.metric), []).append(row)
    return found


def times(*seconds: int | None) -> pa.Array:
    return pa.array([None if second is None else _START + second * 1_000_000 for second in seconds], _UTC)


NAMES = ["pump-7", "Pumpe Süd", "泵", "a.b"]
READINGS = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, None]),
        st.sampled_from(["temperature", "é", "load"]),
        st.integers(_START, _START + 10**12) | st.none(),
        st.floats(-1e100, 1e100) | st.none(),
    ),
    min_size=1,
    max_size=40,
).filter(lambda readings: any(reading[3] is not None for reading in readings))


@given(READINGS, st.booleans(), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_the_long_form_says_what_json_says(readings: list[Any], dictionaries: bool, rows_a_batch: int) -> None:
    devices, metrics, moments, values = (pa.array(list(column)) for column in zip(*readings, strict=True))
    if dictionaries:
        devices, metrics = devices.cast(pa.string()).dictionary_encode(), metrics.dictionary_encode()
    table = pa.table(
        {"device": devices, "time": moments.cast(pa.int64()).cast(_UTC), "metric": metrics, "value": values.cast(pa.float64())}
    )  # fmt: skip
    document = [
        {"device": device, "time": time, "metrics": {metric: value}}
        for device, metric, time, value in readings
        if value is not None
    ]
    place = [row for row, reading in enumerate(readings) if reading[3] is not None]
    columns = DECODERS[ARROW](stream(table, rows_a_batch), _MOST)
    wanted = by_series(DECODERS["application/json"](json.dumps(document).encode(), _MOST))
    wanted = {series: [row._replace(index=place[row.index]) for row in rows] for series, rows in wanted.items()}
    assert by_series(columns) == wanted
    assert not columns.rejections


CELLS = st.tuples(
    st.sampled_from([*NAMES, None]),
    st.integers(_START, _START + 10**12) | st.none(),
    st.integers(-(2**53), 2**53) | st.none(),
    st.booleans() | st.none(),
)


@given(st.lists(CELLS, min_size=1, max_size=40).filter(lambda rows: any(row[2:] != (None, None) for row in rows)))
@settings(max_examples=150, deadline=None)
def test_the_wide_form_says_what_json_says(rows: list[Any]) -> None:
    devices, moments, counts, running = zip(*rows, strict=True)
    table = pa.table(
        {
            "device": pa.array(devices, pa.string()),
            "time": pa.array(moments, _UTC),
            "count": pa.array(counts, pa.int64()),
            "running": pa.array(running, pa.bool_()),
            "spare": pa.nulls(len(rows)),
        }
    )
    document, place = [], []
    for at, (device, time, count, on) in enumerate(rows):
        metrics = {name: value for name, value in (("count", count), ("running", on)) if value is not None}
        if metrics:
            document.append({"device": device, "time": time, "metrics": metrics})
            place.append(at)
    wanted = by_series(DECODERS["application/json"](json.dumps(document).encode(), _MOST))
    columns = DECODERS[ARROW](stream(table, 7), _MOST)
    assert by_series(columns) == {
        series: [row._replace(index=place[row.index]) for row in found] for series, found in wanted.items()
    }


def test_one_device_may_leave_out_its_name_and_its_times() -> None:
    assert rows_of(decoded({"temperature": [1.5, 2.5]})) == [
        Row(0, None, "temperature", NO_TIME, 1.5, False),
        Row(1, None, "temperature", NO_TIME, 2.5, False),
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_unit_and_zone_are_the_same_moments(unit: str) -> None:
    moment = datetime(2026, 11, 21, 10, tzinfo=UTC)
    for zone in ("UTC", "Europe/Berlin", "+05:30"):
        columns = decoded({"time": pa.array([moment], pa.timestamp(unit, tz=zone)), "a": [1.0]})
        assert columns.times.tolist() == [_START]


@pytest.mark.parametrize(
    "given_times",
    [[_START // 1_000_000], [_START // 1000], [_START], [_START * 1000], [_START / 1e6], ["2026-11-21T10:00:00Z"]],
)
def test_times_may_be_whatever_json_may_hold(given_times: list[Any]) -> None:
    assert decoded({"time": given_times, "a": [1.0]}).times.tolist() == [_START]


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16(), pa.int8(), pa.uint64(), pa.int32()])
def test_values_may_be_numbers_of_any_width(kind: pa.DataType) -> None:
    assert decoded({"a": pa.array(np.array([1, 3]), kind)}).values.tolist() == [1, 3]


def test_what_is_not_finite_is_left_to_intake_which_refuses_it() -> None:
    assert np.isnan(decoded({"a": [float("nan"), 1.0]}).values[0]), "a NaN is no null"


def test_rows_whose_time_is_none_are_refused_alone_and_kept() -> None:
    moments = pa.array([_START, 2**62, None], _UTC)
    columns = decoded({"device": ["p", "p", "p"], "time": moments, "a": [1.0, 2.0, 3.0], "b": [True, False, None]})
    assert faults_of(columns) == [(1, "time", "invalid_time", 2)]
    kept = json.loads(columns.rejections[0].payload)
    assert (kept["device"], kept["metrics"]) == ("p", {"a": 2.0, "b": False})
    assert count_of(columns) == 5
    assert [row.index for row in rows_of(columns)] == [0, 2, 0]


def test_texts_that_are_no_times_are_refused_alone() -> None:
    columns = decoded({"time": ["2026-11-21T10:00:00Z", "yesterday"], "a": [1, 2]})
    assert faults_of(columns) == [(1, "time", "invalid_time", 1)]
    assert "yesterday" in columns.rejections[0].payload


def test_a_value_without_a_metric_is_refused_alone() -> None:
    columns = decoded({"metric": ["a", None, None], "value": [1.0, 2.0, None]})
    assert faults_of(columns) == [(1, "metric", "malformed", 1)]
    assert count_of(columns) == 2


def test_names_in_a_dictionary_may_be_null_or_stand_twice() -> None:
    names = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), pa.array(["a", None, "a"]))
    columns = decoded({"device": names, "value": [1.0, 2.0, 3.0, 4.0], "metric": ["m"] * 4})
    assert sorted((row.index, row.device) for row in rows_of(columns)) == [(0, "a"), (1, None), (2, "a"), (3, None)]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no metric": ({"device": ["a"], "time": times(0)}, "no metric"),
    "text as value": ({"a": ["1.5"]}, "'a' is string; it must be a number"),
    "list as value": ({"a": [[1.0]]}, "'a' is list"),
    "time without zone": ({"time": pa.array([_START], pa.timestamp("us")), "a": [1]}, "with a zone"),
    "boolean as time": ({"time": [True], "a": [1]}, "'time' is bool"),
    "number as device": ({"device": [7], "a": [1]}, "'device' is int64; it must be a text"),
    "more beside value": ({"metric": ["a"], "value": [1], "site": ["north"]}, "'site' is no column"),
    "no value": ({"a": pa.array([None], pa.float64())}, "no value"),
    "no row": ({"a": pa.array([], pa.float64())}, "no value"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_meant_is_refused_with_its_column(wrong: str) -> None:
    columns, said = WRONG[wrong]
    with pytest.raises(Malformed, match=said):
        decoded(columns)


def test_a_column_that_stands_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="'a' stands twice"):
        decoded(pa.table([pa.array([1]), pa.array([2])], ["a", "a"]))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_before_they_grow(compression: str) -> None:
    with pytest.raises(Malformed, match="Content-Encoding: gzip"):
        decoded({"a": np.zeros(100_000)}, compression=compression)


def test_a_stream_may_hold_as_many_values_as_allowed_and_no_more() -> None:
    assert len(decoded({"a": [1, 2], "b": [1, None]}, 3)) == 3
    with pytest.raises(TooManyValues):
        decoded({"a": [1, 2], "b": [1, None]}, 2)
    with pytest.raises(TooManyValues):
        decoded({"a": np.arange(50.0)}, 49)


def test_damaged_streams_are_refused_or_read_and_never_worse() -> None:
    whole = [
        stream({"device": ["a", "b", None] * 3, "time": times(*range(9)), "a": np.arange(9.0), "on": [True, None, False] * 3}),
        stream({"device": pa.array(["a", "b"] * 4).dictionary_encode(), "metric": ["x"] * 8, "value": range(8)}),
    ]  # fmt: skip
    chance = random.Random(7)
    for _ in range(3000):
        body = bytearray(chance.choice(whole))
        for _ in range(chance.choice([1, 2, 8])):
            body[chance.randrange(len(body))] = chance.randrange(256)
        if chance.random() < 0.2:
            del body[chance.randrange(len(body)) :]
        try:
            decoded_columns = DECODERS[ARROW](bytes(body), 1000)
        except (Malformed, TooManyValues):
            continue
        assert count_of(decoded_columns) <= 1000
    for body in (b"", b"{}", b"\xff" * 64, b"ARROW1\0\0"):
        with pytest.raises(Malformed):
            DECODERS[ARROW](body, 1000)

"""JSON bodies: one reading, an array of readings, or {"readings": [...]}; each plain or compact.

The usual body is decoded into typed structs by msgspec and turned into columns by C loops. Whatever does not fit is
read again by the careful decoder (json_careful), which explains each fault and keeps what is good.
"""

from __future__ import annotations

import threading
from itertools import chain, compress, repeat
from typing import Any

import msgspec
import numpy as np

from telemetry.intake.batch import NO_TIME, Columns
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.decode.json_careful import decode_carefully
from telemetry.intake.decode.json_uniform import decode_uniform
from telemetry.intake.times import InvalidTime, parse_time, parse_times


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    metrics: dict[str, float | bool | list[float | bool | None]]
    device: str | None = None
    time: str | int | float | None = None
    times: list[str | int | float] | None = None


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    readings: list[_Item]


_array = msgspec.json.Decoder(list[_Item])
_object = msgspec.json.Decoder(_Item)
_wrapped = msgspec.json.Decoder(_Wrapped)


#: A document in memory can be 30 times as large as its text: large ones are decoded one at a time in a process.
_LARGE_BYTES = 1 << 20
_large = threading.Lock()
_FIRST = np.zeros(1, np.int32)
_FIRST.flags.writeable = False


class _NotUniform(Exception):
    """The body is for the careful decoder."""


def decode_json(body: bytes, most: int) -> Columns:
    """Decode a JSON body of at most ``most`` values. Raises Malformed and TooManyValues."""
    if len(body) < _LARGE_BYTES:
        return _decode(body, most)
    with _large:
        return _decode(body, most)


def _decode(body: bytes, most: int) -> Columns:
    if (uniform := decode_uniform(body, most)) is not None:
        return uniform
    try:
        items, wrapped = _items(body)
        names = _names_in(body) - wrapped
        if len(items) == 1 and len(items[0].metrics) == 1 and items[0].times is None:
            columns = _single(items[0], names)
        else:
            compact = [item.times for item in items].count(None) != len(items)
            columns = _compact(items, most, names) if compact else _plain(items, most, names)
    except (msgspec.MsgspecError, _NotUniform, UnicodeDecodeError):
        columns = decode_carefully(body, most)
    if not len(columns) and not columns.rejections:
        raise Malformed(
            'the body holds no value; send for example {"device": "pump-7", "metrics": {"temperature": 21.5}}'
        )
    return columns


def _items(body: bytes) -> tuple[list[_Item], bool]:
    """The readings, and whether they came wrapped."""
    head = body[:64].lstrip()[:1]
    if head == b"[":
        return _array.decode(body), False
    try:
        return [_object.decode(body)], False
    except msgspec.ValidationError:
        return _wrapped.decode(body).readings, True


def _names_in(body: bytes) -> int:
    """How often a text is followed by a colon: the names in a document, the same one twice counted twice.

    Of a name that stands twice in an object the decoder keeps the last value and says nothing; the count does. (Who
    writes colons in another way has too few and is read carefully.)
    """
    return body.count(b'":')


def _single(item: _Item, names_in_body: int) -> Columns:
    """One value, as small devices send it: as _plain, at a third of the time."""
    ((name, value),) = item.metrics.items()
    if isinstance(value, list) or names_in_body != 4 - (item.device is None) - (item.time is None):
        raise _NotUniform
    try:
        time = NO_TIME if item.time is None else parse_time(item.time)
    except InvalidTime:
        raise _NotUniform from None
    boolean = np.ones(1, np.bool_) if isinstance(value, bool) else None
    return Columns([item.device], [name], None, np.array([time]), np.array([value], np.float64), _FIRST, boolean)


def _plain(items: list[_Item], most: int, names_in_body: int) -> Columns:
    """Items with one time each."""
    metrics = [item.metrics for item in items]
    names = list(chain.from_iterable(metrics))
    if len(names) > most:
        raise TooManyValues(most)
    raw: list[Any] = list(chain.from_iterable(map(dict.values, metrics)))
    devices: list[str | None] = [item.device for item in items]
    raw_times = [item.time for item in items]
    if names_in_body != 3 * len(items) - devices.count(None) - raw_times.count(None) + len(names):
        raise _NotUniform
    times, faults = parse_times(raw_times)
    if faults:
        raise _NotUniform
    index = np.arange(len(items), dtype=np.int32)
    counts = list(map(len, metrics))
    if 0 in counts:
        raise _NotUniform
    if len(names) != len(items) or set(counts) != {1}:
        devices = list(chain.from_iterable(map(repeat, devices, counts)))
        times = np.repeat(times, counts)
        index = np.repeat(index, counts)
    kinds = set(map(type, raw))
    if list in kinds:
        raise _NotUniform
    boolean = (
        np.fromiter((value is True or value is False for value in raw), np.bool_, len(raw)) if bool in kinds else None
    )
    return Columns(devices, names, None, times, np.array(raw, np.float64), index, boolean)


def _compact(items: list[_Item], most: int, names_in_body: int) -> Columns:
    """Items of which some have a list of times; the others count as lists of one."""
    devices: list[str | None] = []
    names: list[str] = []
    runs: list[int] = []
    index: list[int] = []
    raw_times: list[Any] = []
    #: Of each run, where its item's times begin among them, and its values.
    begins: list[int] = []
    columns: list[list[Any]] = []
    optional = [field for item in items for field in (item.device, item.time, item.times)]
    if names_in_body != len(items) + len(optional) - optional.count(None) + sum([len(item.metrics) for item in items]):
        raise _NotUniform
    for place, item in enumerate(items):
        if not item.metrics or (item.times is not None and item.time is not None):
            raise _NotUniform
        times: list[Any] = [item.time] if item.times is None else item.times
        for name, given in item.metrics.items():
            column: Any = [given] if item.times is None else given
            if not isinstance(column, list) or len(column) != len(times):
                raise _NotUniform
            devices.append(item.device)
            names.append(name)
            runs.append(len(times))
            index.append(place)
            begins.append(len(raw_times))
            columns.append(column)
        raw_times += times
    flat = list(chain.from_iterable(columns))
    if len(flat) > most:
        raise TooManyValues(most)
    kinds = set(map(type, flat))
    if list in kinds:
        raise _NotUniform
    # All at once: what parsing ten times takes is mostly the same for a thousand.
    moments, faults = parse_times(raw_times)
    if faults:
        raise _NotUniform
    many = np.array(runs, np.int64)
    return _without_nulls(
        Columns(
            devices,
            names,
            many,
            moments[np.arange(len(flat)) + np.repeat(np.array(begins, np.int64) - (np.cumsum(many) - many), many)],
            np.array(flat, np.float64),  # null becomes NaN, which JSON cannot say otherwise
            np.repeat(np.array(index, np.int32), many),
            np.array([value is True or value is False for value in flat], np.bool_) if bool in kinds else None,
        )
    )


def _without_nulls(columns: Columns) -> Columns:
    """The compact form says "no value at this time" with null."""
    null = np.isnan(columns.values)
    if not null.any():
        return columns
    assert columns.runs is not None
    keep = ~null
    starts = np.concatenate(([0], np.cumsum(columns.runs)))
    kept_before = np.concatenate(([0], np.cumsum(keep)))
    runs = np.diff(kept_before[starts])
    columns.devices = list(compress(columns.devices, runs))
    columns.metrics = list(compress(columns.metrics, runs))
    columns.runs = runs[runs > 0]
    columns.times, columns.values, columns.index = columns.times[keep], columns.values[keep], columns.index[keep]
    if columns.boolean is not None:
        columns.boolean = columns.boolean[keep]
    return columns

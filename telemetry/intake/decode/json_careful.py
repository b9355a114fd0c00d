"""The careful JSON decoder: slower, but it says what is wrong with each value and keeps the good ones.

Besides what JSON allows it reads the tokens NaN and Infinity (many devices print them), so that they are refused as
values (not_finite) instead of spoiling the whole body.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from telemetry.intake.batch import NO_TIME, Columns, Rejection
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.refuse import refusal, short
from telemetry.intake.times import InvalidTime, parse_time

_FIELDS = {"device", "time", "times", "metrics"}
_FORM = '{"device": "pump-7", "time": "2026-11-21T10:00:00Z", "metrics": {"temperature": 21.5}}'


class _DuplicateNames(dict[str, Any]):
    """An object in which a name stood twice: which of the two was meant cannot be known."""

    name = ""


def decode_carefully(body: bytes, most: int) -> Columns:
    """As decode_json, with a Rejection for every value that cannot be used."""
    try:
        return _Careful(most).decode(_items(_parse(body)))
    except RecursionError:  # whether on reading it, or on writing a refused part of it
        raise Malformed("the body is nested too deeply") from None


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    twice = _DuplicateNames(found)
    twice.name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return twice


def _integer(digits: str) -> int | float:
    # Python refuses to parse integers of thousands of digits, and no value here may exceed 1e100 anyway.
    return int(digits) if len(digits) <= 110 else float(digits)


def _items(parsed: Any) -> list[Any]:
    if isinstance(parsed, dict) and "readings" in parsed:
        if isinstance(parsed, _DuplicateNames):
            raise Malformed(f"{short(parsed.name)!r} stands twice beside the readings")
        extra = sorted(set(parsed) - {"readings"})
        if extra:
            raise Malformed(f"{short(extra[0])!r} stands beside readings; only readings may")
        parsed = parsed["readings"]
        if not isinstance(parsed, list):
            raise Malformed('readings must be an array: {"readings": [...]}')
    if isinstance(parsed, dict):
        return [parsed]
    if not isinstance(parsed, list):
        raise Malformed(f"the body must be an object or an array of readings like {_FORM}")
    return parsed


class _Careful:
    """Columns under construction."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._devices: list[str | None] = []
        self._metrics: list[str] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._index: list[int] = []
        self._boolean: list[bool] = []
        self._rejections: list[Rejection] = []
        self._refused_values = 0

    def decode(self, items: list[Any]) -> Columns:
        for index, item in enumerate(items):
            self._item(index, item)
        return Columns(
            self._devices,
            self._metrics,
            None,
            np.array(self._times, np.int64),
            np.array(self._values, np.float64),
            np.array(self._index, np.int32),
            np.array(self._boolean, np.bool_) if any(self._boolean) else None,
            self._rejections,
        )

    def _item(self, index: int, item: Any) -> None:
        fault = _fault_of(item)
        if fault is not None:
            field, detail = fault
            self._refuse(index, item, field, "malformed", detail, _count(item))
            return
        if item.get("times") is not None:
            self._compact(index, item)
        else:
            self._plain(index, item)

    def _plain(self, index: int, item: dict[str, Any]) -> None:
        time = self._time(index, item, "time", item.get("time"), item, len(item["metrics"]))
        if time is None:
            return
        for name, value in item["metrics"].items():
            self._value(index, item, name, time, value)

    def _compact(self, index: int, item: dict[str, Any]) -> None:
        raw_times = item["times"]
        columns: dict[str, list[Any]] = {}
        unfit: dict[str, Any] = {}
        for name, column in item["metrics"].items():
            fits = isinstance(column, list) and len(column) == len(raw_times)
            (columns if fits else unfit)[name] = column
        if unfit:
            # One refusal for all of them: each would have to carry all the times.
            first, *others = unfit
            detail = f"metrics.{short(first)} must be an array of {len(raw_times)} values, one for each of times"
            detail += f"; {len(others)} other metrics as well" if others else ""
            bad = {**item, "metrics": unfit}
            self._refuse(index, bad, f"metrics.{first}", "malformed", detail, _count(bad))
        for place, raw in enumerate(raw_times):
            row = {name: column[place] for name, column in columns.items() if column[place] is not None}
            if not row:
                continue
            reading = {"device": item.get("device"), "time": raw, "metrics": row}
            time = self._time(index, reading, f"times.{place}", raw, reading, len(row))
            if time is not None:
                for name, value in row.items():
                    self._value(index, reading, name, time, value)

    def _time(self, index: int, item: dict[str, Any], field: str, raw: Any, payload: Any, count: int) -> int | None:
        if raw is None and field == "time":
            return NO_TIME
        try:
            return parse_time(raw)
        except InvalidTime as error:
            self._refuse(index, payload, field, "invalid_time", str(error), count)
            return None

    def _value(self, index: int, item: dict[str, Any], name: str, time: int, value: Any) -> None:
        field, single = f"metrics.{name}", {**item, "metrics": {name: value}}
        for shared in ("device", "time"):  # both stand in every refusal of the reading
            if isinstance(single.get(shared), str):
                single[shared] = short(single[shared])
        if not isinstance(value, bool | int | float):
            detail = f"a value is a number or true or false, not {_described(value)}"
            self._refuse(index, single, field, "invalid_value", detail)
            return
        number = float(value) if abs(value) <= 1e100 else float("inf")
        if isinstance(value, float) and not np.isfinite(value):
            self._refuse(index, single, field, "not_finite", "the value is not a finite number")
            return
        if not np.isfinite(number):
            self._refuse(index, single, field, "invalid_value", "a value's magnitude is 1e100 at most")
            return
        self._devices.append(item.get("device"))
        self._metrics.append(name)
        self._times.append(time)
        self._values.append(number)
        self._index.append(index)
        self._boolean.append(isinstance(value, bool))
        self._check_size()

    def _refuse(self, index: int, item: Any, field: str, code: str, detail: str, count: int = 1) -> None:
        device = item.get("device") if isinstance(item, dict) else None
        named = device if isinstance(device, str) else None
        self._rejections.append(refusal(index, field, code, detail, named, item, count))
        self._refused_values += count
        self._check_size()

    def _check_size(self) -> None:
        if len(self._values) + self._refused_values > self._most:
            raise TooManyValues(self._most)


def _fault_of(item: Any) -> tuple[str, str] | None:
    """What makes a reading unusable as a whole: (field, detail), or None."""
    if not isinstance(item, dict):
        return "", f"a reading is an object like {_FORM}, not {_described(item)}"
    if isinstance(item, _DuplicateNames):
        return item.name, f"{item.name!r} stands twice in the reading"
    unknown = sorted(set(item) - _FIELDS)
    if unknown:
        return unknown[0], f"{unknown[0]!r} is not a field of a reading; those are device, time (or times) and metrics"
    if not isinstance(item.get("device"), str | None):
        return "device", "device is a text"
    metrics = item.get("metrics")
    if not isinstance(metrics, dict) or not metrics:
        return "metrics", 'metrics is an object with at least one value: {"temperature": 21.5}'
    if isinstance(metrics, _DuplicateNames):
        return f"metrics.{metrics.name}", f"metrics.{metrics.name} stands twice in the reading"
    if item.get("times") is not None and (item.get("time") is not None or not isinstance(item["times"], list)):
        return "times", "times is an array, and stands instead of time"
    return None


def _count(item: Any) -> int:
    """How many values an unusable reading stood for, at least one."""
    metrics = item.get("metrics") if isinstance(item, dict) else None
    if not isinstance(metrics, dict):
        return 1
    return max(1, sum(len(value) - value.count(None) if isinstance(value, list) else 1 for value in metrics.values()))


def _described(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((str, "a text"), (list, "an array"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return type(value).__name__

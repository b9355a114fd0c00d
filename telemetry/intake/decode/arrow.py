"""Arrow IPC streams: readings as columns, for gateways that have many of them.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format. Two forms. Long: the columns ``metric`` and
``value``, one value a row. Wide: one column a metric, named as it is. Both with ``device`` (text; may be left out, or null,
where the key belongs to one device) and ``time`` (a timestamp with a zone, or whatever JSON may hold; may be left out, or
null). Texts may be dictionaries. Null is no value. A row is a reading, and its number is the index that errors name.

Nothing of a stream is trusted: its types are looked at before its data is read, its data is validated before it is used,
and compressed buffers are refused, because how large they become is only known when it is too late.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.intake.batch import NO_TIME, Coded, Columns, Float64, Int32, Int64, Rejection
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.refuse import refusal, short
from telemetry.intake.times import HIGHEST, LOWEST, parse_times

__all__ = ["decode_arrow"]

_LONG = {"device", "time", "metric", "value"}
_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)
#: Units of a timestamp: those a µs has of it, those it has of a µs.
_UNITS = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
#: Type of a message's header that holds a dictionary, rows (Message.fbs).
_DICTIONARY, _ROWS = 2, 3


def decode_arrow(body: bytes, most: int) -> Columns:
    """Decode an Arrow IPC stream of at most ``most`` values. Raises Malformed and TooManyValues."""
    try:
        _look_over(body, most)
        with pa.ipc.open_stream(body, options=_OPTIONS) as reader:
            _check(reader.schema)
            table = reader.read_all()
        table.validate(full=True)
        table = table.unify_dictionaries().combine_chunks()
    except (pa.ArrowException, OSError, struct.error, UnicodeDecodeError) as error:
        raise Malformed(f"the body is no Arrow IPC stream that can be read: {str(error)[:200]}") from None
    columns = _Decoder(table, most).columns()
    if not len(columns) and not columns.rejections:
        raise Malformed("the body holds no value")
    return columns


# --- before anything is read --------------------------------------------------------------------------------------


def _look_over(body: bytes, most: int) -> None:
    """Refuse what would be too much, by the headers of its messages alone."""
    rows = 0
    for message in pa.ipc.MessageReader.open_stream(body):
        data = message.metadata.to_pybytes()
        at = _Table.root(data)
        kind = at.number("<B", 1)
        if kind not in (_DICTIONARY, _ROWS):
            continue
        batch = at.table(2) if kind == _ROWS else at.table(2).table(1)
        if batch.has(3):
            raise Malformed("buffers inside the stream are compressed; send them plain, with Content-Encoding: gzip")
        if kind == _ROWS:
            rows += batch.number("<q", 0)
            if rows > most:
                raise TooManyValues(most)


class _Table:
    """A table of a FlatBuffer (https://flatbuffers.dev/internals/): its fields by number. Raises struct.error."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self._fields = place - struct.unpack_from("<i", data, place)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def number(self, kind: str, field: int) -> int:
        """0 where it is left out."""
        at = self._at(field)
        return int(struct.unpack_from(kind, self._data, at)[0]) if at else 0

    def table(self, field: int) -> _Table:
        at = self._at(field)
        if not at:
            raise struct.error("a message has no header")
        return _Table(self._data, at + struct.unpack_from("<I", self._data, at)[0])

    def has(self, field: int) -> bool:
        return self._at(field) != 0

    def _at(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._place + offset if offset else 0


def _check(schema: pa.Schema) -> None:
    """Whether every column is one that can be used. Raises Malformed."""
    names = schema.names
    if len(set(names)) < len(names):
        raise Malformed(f"the column {short(Counter(names).most_common(1)[0][0])!r} stands twice")
    types = dict(zip(names, schema.types, strict=True))
    long = _is_long(types)
    if long and (extra := sorted(set(names) - _LONG)):
        raise Malformed(f"{short(extra[0])!r} is no column beside metric and value; those are device and time")
    if not long and not set(names) - {"device", "time"}:
        raise Malformed("there is no metric: send the columns metric and value, or one column for each metric")
    for name, kind in types.items():
        if name == "device" or (long and name == "metric"):
            fits, wanted = _is_text(kind) or pa.types.is_null(kind), "a text, or a dictionary of texts"
        elif name == "time":
            fits, wanted = _is_time(kind), "a timestamp with a zone (UTC), an epoch number or a text"
        else:
            fits, wanted = _is_value(kind), "a number or a boolean"
        if not fits:
            raise Malformed(f"the column {short(name)!r} is {kind}; it must be {wanted}")


def _is_long(names: Any) -> bool:
    return "metric" in names and "value" in names


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_time(kind: pa.DataType) -> bool:
    if pa.types.is_timestamp(kind):
        return kind.tz is not None  # a moment without a zone could be any of 38
    number = pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind)
    return bool(number or pa.types.is_null(kind) or (_is_text(kind) and not pa.types.is_dictionary(kind)))


def _is_value(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )


# --- a table that can be trusted -----------------------------------------------------------------------------------


class _Decoder:
    """One table of rows, on the way to Columns."""

    def __init__(self, table: pa.Table, most: int) -> None:
        self._table, self._most = table, most
        self._rows = table.num_rows
        self._names: list[str] = table.column_names
        self._times, self._faults = self._read_times()
        self._devices, self._device_names = self._texts("device")
        #: Rows of which nothing can be used.
        self._refused = np.zeros(self._rows, np.bool_)

    def columns(self) -> Columns:
        long = _is_long(self._names)
        metrics = ["value"] if long else [name for name in self._names if name not in ("device", "time")]
        values = sum(self._rows - self._table[name].null_count for name in metrics)
        if values > self._most:
            raise TooManyValues(self._most)
        rejections = [self._refuse(row, "time", "invalid_time", text, metrics) for row, text in self._faults.items()]
        self._refused[list(self._faults)] = True
        return self._long(rejections) if long else self._wide(metrics, rejections)

    def _long(self, rejections: list[Rejection]) -> Columns:
        metric, names = self._texts("metric")
        values, boolean, given = self._values("value")
        usable = ~self._refused if given is None else given & ~self._refused
        for row in np.flatnonzero(usable & (metric < 0)).tolist():
            rejections.append(self._refuse(row, "metric", "malformed", "the metric is null", ["value"]))
        rows = np.flatnonzero(usable & (metric >= 0))
        codes = self._devices[rows] * np.int64(len(names)) + metric[rows]
        order = _stable_order(codes)
        rows, codes = rows[order], codes[order]
        starts = _starts(codes)
        return Columns(
            Coded(self._device_names, self._devices[rows[starts]]),
            # A metric that is null was refused above, so each has a name.
            cast(Sequence[str], Coded(names, metric[rows[starts]])),
            np.diff(np.append(starts, len(rows))),
            self._times[rows],
            values[rows],
            rows.astype(np.int32),
            np.ones(len(rows), np.bool_) if boolean else None,
            rejections,
        )

    def _wide(self, metrics: list[str], rejections: list[Rejection]) -> Columns:
        order = _stable_order(self._devices)
        order = order[~self._refused[order]]
        parts: list[tuple[NDArray[np.intp], Float64, bool, NDArray[np.intp]]] = []
        for name in metrics:
            values, boolean, given = self._values(name)
            rows = order if given is None else order[given[order]]
            parts.append((rows, values[rows], boolean, _starts(self._devices[rows])))
        rows = np.concatenate([part[0] for part in parts])
        devices = np.concatenate([self._devices[part[0][part[3]]] for part in parts])
        named = np.repeat(np.arange(len(metrics)), [len(part[3]) for part in parts])
        runs = np.concatenate([np.diff(np.append(part[3], len(part[0]))) for part in parts])
        is_boolean = [np.full(len(part[0]), part[2]) for part in parts] if any(part[2] for part in parts) else None
        return Columns(
            Coded(self._device_names, devices),
            cast(Sequence[str], Coded(metrics, named)),
            runs,
            self._times[rows],
            np.concatenate([part[1] for part in parts]),
            rows.astype(np.int32),
            None if is_boolean is None else np.concatenate(is_boolean),
            rejections,
        )

    def _device(self, code: int) -> str | None:
        return self._device_names[code] if code >= 0 else None

    def _texts(self, name: str) -> tuple[Int64, list[str]]:
        """Of each row the place of its text among these, -1 where it is null."""
        if name not in self._names or pa.types.is_null(self._table.schema.field(name).type):
            return np.full(self._rows, -1, np.int64), []
        column = _one(self._table[name])
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        codes = column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        texts = column.dictionary
        if texts.null_count:
            codes = np.where((codes >= 0) & _valid(texts)[codes], codes, -1)
        return codes, ["" if text is None else text for text in texts.to_pylist()]

    def _values(self, name: str) -> tuple[Float64, bool, NDArray[np.bool_] | None]:
        """Values, whether they are true or false, and where there is one (None: everywhere)."""
        column = _one(self._table[name])
        if pa.types.is_null(column.type):
            return np.zeros(self._rows), False, np.zeros(self._rows, np.bool_)
        boolean = pa.types.is_boolean(column.type)
        given = None
        if column.null_count:
            given = _valid(column)
            column = column.fill_null(False if boolean else 0)
        return column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False), bool(boolean), given

    def _read_times(self) -> tuple[Int64, dict[int, str]]:
        """µs since 1970, NO_TIME where there is none; and what is wrong with those that are none, by row."""
        if "time" not in self._names or pa.types.is_null(self._table.schema.field("time").type):
            return np.full(self._rows, NO_TIME, np.int64), {}
        column = _one(self._table["time"])
        if not pa.types.is_timestamp(column.type):
            return parse_times(column.to_pylist())
        units, per_microsecond = _UNITS[column.type.unit]
        given = _valid(column)
        raw = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        wrong = given & ((raw // per_microsecond < LOWEST // units) | (raw // per_microsecond > HIGHEST // units))
        times = np.where(wrong | ~given, 0, raw) * units // per_microsecond
        faults = dict.fromkeys(np.flatnonzero(wrong).tolist(), "the time lies outside the years 1 to 9999")
        return np.where(given & ~wrong, times, NO_TIME), faults

    def _refuse(self, row: int, field: str, code: str, detail: str, metrics: list[str]) -> Rejection:
        """A whole row, kept as the reading that it would have been."""
        cells = {name: self._table[name][row].as_py() for name in metrics}
        values = {name: value for name, value in cells.items() if value is not None}
        if _is_long(self._names):
            values = {str(self._table["metric"][row].as_py()): value for value in values.values()}
        device = self._device(int(self._devices[row]))
        time = str(self._table["time"][row].cast(pa.string())) if "time" in self._names else None
        reading = {"device": device and short(device), "time": time and short(time), "metrics": values}
        return refusal(row, field, code, detail, device, reading, max(1, len(values)))


def _one(column: pa.ChunkedArray) -> pa.Array:
    """All chunks of a column as one."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.array([], column.type) if not column.num_chunks else pa.concat_arrays(column.chunks)


def _valid(column: pa.Array) -> NDArray[np.bool_]:
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _stable_order(codes: Int64) -> NDArray[np.intp]:
    """Places that bring equal codes together and keep their order. Small numbers are sorted by radix."""
    if not len(codes) or (codes[1:] >= codes[:-1]).all():
        return np.arange(len(codes))
    lowest = codes.min()
    small = codes.max() - lowest < 1 << 16
    return np.argsort((codes - lowest).astype(np.uint16) if small else codes, kind="stable")


def _starts(codes: Int64 | Int32) -> NDArray[np.intp]:
    """Where runs of equal codes begin."""
    if not len(codes):
        return np.empty(0, np.intp)
    return np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))

"""numpy arrays to and from PostgreSQL's arrays in their binary form: no Python object for each element.

The format is that of `array_send` in the server's sources (src/backend/utils/adt/arrayfuncs.c): number of dimensions, a
flag for nulls, the element's type, length and lower bound of the dimension; then each element as its length and its
bytes, all big-endian.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from telemetry.binary_rows import TO_2000

__all__ = ["BinaryArray", "float8_array", "int4_array", "int4s_of", "int8_array", "times_of", "timestamptz_array"]

_HEADER = struct.Struct(">iiiii")
#: Type of the element → type of the array (pg_type.oid, which never changes).
_ARRAYS = {23: 1007, 20: 1016, 701: 1022, 1184: 1185}


class BinaryArray:
    """An array as the server takes it, for a parameter written ``%b``."""

    __slots__ = ("data", "oid")

    def __init__(self, element: int, values: NDArray[Any], kind: str) -> None:
        rows = np.empty(len(values), np.dtype([("length", ">i4"), ("value", kind)]))
        rows["length"] = rows.dtype["value"].itemsize
        rows["value"] = values
        head = _HEADER.pack(1, 0, element, len(values), 1) if len(values) else struct.pack(">iii", 0, 0, element)
        self.data = head + rows.tobytes()
        self.oid = _ARRAYS[element]


def int4_array(values: NDArray[Any]) -> BinaryArray:
    """integer[]."""
    return BinaryArray(23, values, ">i4")


def int8_array(values: NDArray[Any]) -> BinaryArray:
    """bigint[]."""
    return BinaryArray(20, values, ">i8")


def float8_array(values: NDArray[Any]) -> BinaryArray:
    """double precision[]."""
    return BinaryArray(701, values, ">f8")


def timestamptz_array(times: NDArray[np.int64]) -> BinaryArray:
    """timestamptz[] of µs since 1970."""
    return BinaryArray(1184, times - TO_2000, ">i8")


def int4s_of(data: bytes) -> NDArray[np.int32]:
    """The elements of an integer[] as `array_send` gives it."""
    return _elements(data, ">i4").astype(np.int32)


def times_of(data: bytes) -> NDArray[np.int64]:
    """The elements of a timestamptz[] as `array_send` gives it, in µs since 1970."""
    return _elements(data, ">i8").astype(np.int64) + TO_2000


def _elements(data: bytes, kind: str) -> NDArray[Any]:
    row = np.dtype([("length", ">i4"), ("value", kind)])
    # An empty array has no dimensions, so its header is shorter.
    return np.frombuffer(data, row, offset=_HEADER.size if len(data) > 12 else 12)["value"]


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> bytes:
        return obj.data

    def get_key(self, obj: BinaryArray, format: Any) -> Any:
        return (self.cls, obj.oid)

    def upgrade(self, obj: BinaryArray, format: Any) -> Dumper:
        dumper = _Dumper(self.cls)
        dumper.oid = obj.oid
        return dumper


# Every connection takes them: the type is our own, so that nobody else's adapters are touched.
psycopg.adapters.register_dumper(BinaryArray, _Dumper)

"""Columns as COPY … (FORMAT BINARY) takes them: no Python object for each row.

PostgreSQL's manual, "COPY", Binary Format: signature, flags, header extension; each row a count of fields, then the length
and the bytes of every field, all big-endian; at the end a count of -1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TO_2000", "copy_body"]

#: µs from 1970 to 2000, where PostgreSQL's timestamps begin.
TO_2000 = 946_684_800_000_000
_HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)


def copy_body(columns: Sequence[tuple[str, NDArray[Any]]]) -> memoryview:
    """A whole COPY of these columns: (numpy type such as ">f8", values).

    The rows are filled in where they stand between header and trailer: each copy of them took as long as all else.
    """
    row = _row(tuple(kind for kind, _ in columns))
    begin, end = len(_HEADER), len(_HEADER) + len(columns[0][1]) * row.itemsize
    body = np.empty(end + len(_TRAILER), np.uint8)
    body[:begin] = np.frombuffer(_HEADER, np.uint8)
    body[end:] = np.frombuffer(_TRAILER, np.uint8)
    rows = body[begin:end].view(row)
    rows["fields"] = len(columns)
    for place, (kind, values) in enumerate(columns):
        rows[f"length{place}"] = np.dtype(kind).itemsize
        rows[f"value{place}"] = values
    return body.data


@cache
def _row(kinds: tuple[str, ...]) -> np.dtype[Any]:
    fields = [("fields", ">i2")]
    for place, kind in enumerate(kinds):
        fields += [(f"length{place}", ">i4"), (f"value{place}", kind)]
    return np.dtype(fields)

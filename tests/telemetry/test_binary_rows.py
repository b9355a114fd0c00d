"""Columns as COPY takes them: byte for byte what PostgreSQL's manual says, for any number of rows."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from telemetry.binary_rows import copy_body


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_every_field_has_its_length_before_it(rows: int) -> None:
    times, values = np.arange(rows, dtype=np.int64) * 10**12, np.arange(rows, dtype=np.float64) / 3
    expected = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        expected += struct.pack(">hiqid", 2, 8, time, 8, value)
    expected += struct.pack(">h", -1)
    assert bytes(copy_body([(">i8", times), (">f8", values)])) == expected

"""Which series a mark is about: a bit for each, where they lie close together.

Bit b of byte n, from the lowest, stands for series 8 n + b from the multiple of eight at or before ``first_series`` on, as
`get_bit` of PostgreSQL counts them: so the sets of two marks can be laid over each other byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["NAMES_ONE_OF", "bits_of", "series_of"]

#: Bits are kept where they take no more bytes for each series than its number would.
_BYTES_A_NUMBER = 4
#: Sets that lie further apart than so many times what they take are not laid over each other.
_SPREAD = 100
#: Whether the mark ``m`` names any of an integer[], which is handed in twice. `get_bit` refuses what lies beyond the bits, and
#: would fetch a long set anew for each series if it were not held.
NAMES_ONE_OF = """
CASE WHEN m.members IS NULL THEN EXISTS (SELECT 1 FROM unnest(m.series) AS named (id) WHERE named.id = ANY(%b))
ELSE EXISTS (
    WITH held AS MATERIALIZED (SELECT m.members || ''::bytea AS bits)
    SELECT 1 FROM held CROSS JOIN unnest(%b) AS asked (id)
    WHERE CASE WHEN asked.id BETWEEN m.first_series AND m.last_series
        THEN get_bit(held.bits, asked.id - m.first_series / 8 * 8) = 1 END)
END
"""


def bits_of(series: NDArray[np.int32]) -> bytes | None:
    """A set of series (ascending, at least one) as bits; None where they lie too far apart for that."""
    start = int(series[0]) & ~7
    span = int(series[-1]) - start + 1
    if span > 8 * _BYTES_A_NUMBER * len(series):
        return None
    there = np.zeros(span, np.bool_)
    there[series - start] = True
    return np.packbits(there, bitorder="little").tobytes()


def series_of(sets: Sequence[tuple[int, bytes]]) -> NDArray[np.int32]:
    """All series, ascending, that any of these sets (first series, bits) has."""
    parts = [((first & ~7) // 8, np.frombuffer(bits, np.uint8)) for first, bits in sets]
    start, end = min(at for at, _ in parts), max(at + len(bits) for at, bits in parts)
    if len(parts) > 1 and end - start > _SPREAD * sum(len(bits) for _, bits in parts):
        return np.unique(np.concatenate([series_of([each]) for each in sets]))
    union = np.zeros(end - start, np.uint8)
    for at, bits in parts:
        union[at - start : at - start + len(bits)] |= bits
    return (np.flatnonzero(np.unpackbits(union, bitorder="little")) + 8 * start).astype(np.int32)

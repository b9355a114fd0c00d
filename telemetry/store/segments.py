"""Follow the runs of the log server through a shard's entries, so that a receipt knows whether its entries were lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg

from telemetry.log.entries import Entry, Reading, ordinal
from telemetry.store import positions
from telemetry.store.positions import Position

Connection = psycopg.Connection[Any]


def follow_segments(
    connection: Connection, position: Position, reading: Reading, entries: list[Entry], complete: bool
) -> tuple[Position, set[int]]:
    """Note which runs ended on the way through these entries, under the position's lock.

    ``complete``: with them the log is stored to its end, so a run other than the present one has no more entries.
    Answers the position in its new segment, and the places of entries that were stored before already (they stand in an
    older copy of the log that is read again): what became of those was told long ago.
    """
    moved = replace(position, generation=reading.generation)
    others = {entry.segment for entry in entries} - {position.segment}
    ended = positions.ended_segments(connection, position.shard, others) if others else {}
    current, last, replayed = position.segment, position.stored, set[int]()
    for place, entry in enumerate(entries):
        if entry.segment in ended and ordinal(entry.id) <= ordinal(ended[entry.segment]):
            replayed.add(place)
        elif entry.segment != current:
            _change(connection, position.shard, current, last, entry.segment)
            current = entry.segment
        last = entry.id
    if complete and reading.segment != current:
        _change(connection, position.shard, current, last, reading.segment)
        current = reading.segment
    return replace(moved, segment=current), replayed


def _change(connection: Connection, shard: int, old: str, last: str, new: str) -> None:
    if old:
        positions.end_segment(connection, shard, old, last)
    positions.open_segment(connection, shard, new)

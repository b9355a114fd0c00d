"""What became of the entries of a chunk that were not simply stored: what their receipts are told."""

from __future__ import annotations

import numpy as np

from telemetry.store.chunk import Chunk
from telemetry.store.write import Stored

__all__ = ["outcomes_of"]


def outcomes_of(
    chunk: Chunk, stored: Stored, orphans: Chunk, replayed: set[int]
) -> list[tuple[str, str, int, int, int]]:
    """(segment, entry, duplicates, conflicts, quarantined) for `telemetry.store.positions.record_outcomes`. ``orphans``:
    readings of the chunk's entries whose series are gone; ``replayed``: places of entries that were told of long ago."""
    counted = zip(
        chunk.entries,
        chunk.count_by_entry(stored.duplicate),
        chunk.count_by_entry(stored.conflict),
        orphans.count_by_entry(np.ones(len(orphans.batch), np.bool_)),
        strict=True,
    )
    return [
        (entry.segment, entry.id, int(duplicates), int(conflicts), int(gone))
        for place, (entry, duplicates, conflicts, gone) in enumerate(counted)
        if (duplicates or gone) and place not in replayed
    ]

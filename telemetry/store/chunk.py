"""What one drain takes from the log: some entries, decoded, with all their readings joined into one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import Batch, Int32, joined
from telemetry.log.entries import Entry
from telemetry.log.payload import Payload, UnknownVersion, decode
from telemetry.tracing.context import StoredEntry


@dataclass(slots=True)
class Chunk:
    """Entries in log order, their contents, and their readings as one batch in the same order."""

    entries: list[Entry]
    payloads: list[Payload]
    batch: Batch
    #: Index into entries of each reading.
    entry_of: Int32

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    def traces(self) -> dict[int, bytes]:
        """By series: the trace context of the last traced entry that has readings of it. Empty where nothing is traced."""
        found: dict[int, bytes] = {}
        for payload in self.payloads:
            if payload.trace:
                found |= dict.fromkeys(payload.batch.series.tolist(), payload.trace)
        return found

    def traced(self) -> list[StoredEntry]:
        """The entries whose request is traced."""
        return [
            StoredEntry(payload.trace, entry.id, len(payload.batch))
            for entry, payload in zip(self.entries, self.payloads, strict=True)
            if payload.trace
        ]

    def split_off(self, keep: NDArray[np.bool_]) -> Chunk:
        """Keep these readings only; answers the others as a chunk over the same entries."""
        rest = Chunk(self.entries, self.payloads, self.batch.at(~keep), self.entry_of[~keep])
        self.batch, self.entry_of = self.batch.at(keep), self.entry_of[keep]
        return rest

    def count_by_entry(self, rows: NDArray[np.bool_]) -> NDArray[np.intp]:
        """How many of the marked readings each entry has."""
        return np.bincount(self.entry_of[rows], minlength=len(self.entries))


class Unreadable(ValueError):
    """The first entry cannot be decoded."""


def take(entries: Sequence[Entry], most_readings: int) -> tuple[Chunk | None, bool]:
    """Decode entries up to about so many readings (always at least one entry).

    Answers the chunk (None where there is nothing to take) and whether it holds all of them. It ends before an entry
    that this release cannot read, which waits. Raises Unreadable where the first entry is broken.
    """
    payloads: list[Payload] = []
    readings = 0
    for entry in entries:
        try:
            payload = decode(entry.payload)
        except UnknownVersion:
            break
        except ValueError as error:
            if not payloads:
                raise Unreadable(str(error)) from error
            break
        payloads.append(payload)
        readings += len(payload.batch)
        if readings >= most_readings:
            break
    if not payloads:
        return None, not entries
    counts = [len(payload.batch) for payload in payloads]
    batch = joined([payload.batch for payload in payloads])
    entry_of = np.repeat(np.arange(len(payloads), dtype=np.int32), counts)
    taken = list(entries[: len(payloads)])
    return Chunk(taken, payloads, batch, entry_of), len(payloads) == len(entries)

"""Counts how often a drain was tried, durably and before it begins, so that even one that kills its worker is counted.

After N tries entries are taken one by one; only an entry that fails N times alone is set aside.
"""

from __future__ import annotations

from contextlib import suppress

from telemetry.log.entries import Entry, LogError, ordinal
from telemetry.log.redis_streams import RedisLog


class Attempt:
    """One try at what follows a position."""

    def __init__(self, log: RedisLog, shard: int, position: str, most: int) -> None:
        self._log = log
        self._shard = shard
        self._position = position
        self._most = most
        self._subjects = [position]
        self._count = 0
        self.alone = False

    def begin(self, entries: list[Entry]) -> list[Entry]:
        """Count this try; answers the entries to take: all of them, or the first alone."""
        if not entries:
            return entries
        self._count, singly_upto = self._log.begin_attempt(self._shard, self._position)
        if self._count > self._most and ordinal(singly_upto) <= ordinal(self._position):
            singly_upto = entries[-1].id
            self._log.take_singly(self._shard, singly_upto)
        self.alone = ordinal(self._position) < ordinal(singly_upto)
        if not self.alone:
            return entries
        subject = f"entry:{entries[0].id}"
        self._subjects.append(subject)
        self._count, _ = self._log.begin_attempt(self._shard, subject)
        return entries[:1]

    @property
    def subjects(self) -> list[str]:
        """What this try is counted under."""
        return self._subjects if self._count else []

    @property
    def is_hopeless(self) -> bool:
        """The entry was tried alone as often as is allowed, without a word from the last try: it killed the worker."""
        return self.alone and self._count > self._most

    def failed(self) -> bool:
        """This try failed and the data may be at fault; answers whether the entry is to be set aside."""
        return self.alone and self._count >= self._most

    def withdraw(self) -> None:
        """It came to nothing without touching the data (another drain has the shard, the entry waits for a newer release):
        this try does not count. Those of others stay."""
        if self._count:
            with suppress(LogError):
                self._log.withdraw_attempt(self._shard, *self._subjects)

    def forget(self) -> None:
        """It succeeded, or its failure was nobody's fault here: tries so far do not count against the data."""
        with suppress(LogError):  # then the count stays, and costs a few careful drains later
            self._log.forget_attempts(self._shard, *self._subjects)

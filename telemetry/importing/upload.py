"""Sends chunks through intake as any gateway does, and follows their receipts until everything is stored."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from django.conf import settings

from telemetry.importing.chunks import Chunk
from telemetry.intake.accept import Sender, Unavailable, accept
from telemetry.intake.batch import Rejection
from telemetry.log import keys
from telemetry.receipts import Receipt, state_of

__all__ = ["Stuck", "Summary", "Upload"]

_SHOWN_REJECTIONS = 10
_POLL_SECONDS = 0.1
_WAIT_SECONDS = 0.5


class Stuck(Exception):
    """For a long time nothing was taken, or nothing stored; the message says what is probably missing."""


@dataclass(slots=True)
class Summary:
    """What became of a file's values so far. `reasons` counts the rejected ones, `shown` are the first of them."""

    accepted: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    lost: int = 0
    rejected: int = 0
    empty: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    shown: list[Rejection] = field(default_factory=list)

    @property
    def pending(self) -> int:
        return self.accepted - self.stored - self.duplicates - self.quarantined - self.lost

    @property
    def is_complete(self) -> bool:
        """Everything in the file is in the store."""
        return not (self.rejected or self.quarantined or self.lost or self.pending)


class Upload:
    """One import. `say` is told why it waits; `patience` is how many seconds it waits without any progress."""

    def __init__(self, *, judge: bool, say: Callable[[str], None], patience: float) -> None:
        self.summary = Summary()
        self._sender = Sender(backfill=True, judge=judge, request_id="import")
        self._say, self._patience = say, patience
        self._receipts: deque[Receipt] = deque()
        self._progress_at = time.monotonic()
        self._said = ""

    def send(self, chunk: Chunk) -> None:
        """Get one chunk into the log, however long that takes. Raises Stuck."""
        self.summary.empty += chunk.empty
        while True:
            try:
                taken = accept(chunk.columns, self._sender, time.time_ns() // 1000)
                break
            except Unavailable as error:
                self._wait(str(error) or "the platform takes nothing now", _WAIT_SECONDS)
                self.settle()
        self._moved()
        summary = self.summary
        summary.accepted += taken.accepted
        summary.rejected += taken.rejected
        for refused in taken.errors:
            summary.reasons[refused.code] += refused.count
        summary.shown += taken.errors[: _SHOWN_REJECTIONS - len(summary.shown)]
        if taken.receipt is not None:
            self._receipts.append(taken.receipt)

    def settle(self) -> None:
        """Look after the oldest receipts, as far as they are settled."""
        while self._receipts:
            state = state_of(self._receipts[0])
            if state["state"] == "pending":
                return
            summary = self.summary
            for name in ("stored", "duplicates", "conflicts", "quarantined"):
                setattr(summary, name, getattr(summary, name) + state[name])
            if state["state"] == "lost":
                summary.lost += state["accepted"] - state["stored"] - state["duplicates"] - state["quarantined"]
            self._receipts.popleft()
            self._moved()

    def finish(self, on_progress: Callable[[], None]) -> None:
        """Wait until every receipt is settled. Raises Stuck."""
        while True:
            self.settle()
            on_progress()
            if not self._receipts:
                return
            self._wait("", _POLL_SECONDS)

    def _moved(self) -> None:
        self._progress_at = time.monotonic()
        self._said = ""

    def _wait(self, why: str, seconds: float) -> None:
        waited = time.monotonic() - self._progress_at
        if waited > self._patience:
            raise Stuck(f"nothing moved for {waited:.0f} s: {why or _who_is_missing()}")
        if not why and waited > 10:
            why = _who_is_missing()
        if why and why != self._said:
            self._said = why
            self._say(f"waiting: {why}")
        time.sleep(seconds)


def _who_is_missing() -> str:
    """Why readings that are in the log are not stored: most likely nobody drains it."""
    names = [keys.worker(f"drain{number}") for number in range(1, settings.PLATFORM.drain_workers + 1)]
    timeout = settings.PLATFORM.redis_timeout_seconds
    try:
        with redis.Redis.from_url(
            settings.SERVERS["redis_url"], socket_timeout=timeout, socket_connect_timeout=timeout
        ) as client:
            alive = client.exists(*names)
    except redis.RedisError as error:
        return f"the log server does not answer ({error})"
    if alive:
        return "the workers are busy with other readings"
    return "no worker is running; start the platform (`make run`, or the workers alone)"

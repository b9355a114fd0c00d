"""Concurrent requests of one process share one append round trip: whoever comes while one is under way joins the next.

A caller returns only after its own data is in the log (and on disk there).
"""

from __future__ import annotations

import threading
import time

from telemetry import measures
from telemetry.log.entries import Append, Appended, Log, LogDown, LogError

MOST_REQUESTS = 256
MOST_BYTES = 16 << 20


class _Ticket:
    """One caller's request, and the baton by which it is woken: with its answer, or to lead the next round."""

    __slots__ = ("answer", "baton", "request", "size")

    def __init__(self, request: Append) -> None:
        self.request = request
        self.size = sum(len(payload) for _, payload in request.entries)
        self.answer: Appended | LogError | None = None
        self.baton = threading.Lock()
        self.baton.acquire()


class GroupCommit:
    """Wraps a log; thread-safe."""

    def __init__(self, log: Log, patience: float) -> None:
        self._log = log
        self._patience = patience
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._leading = False

    def append(self, request: Append) -> Appended:
        """Append one request. Raises a LogError."""
        ticket = _Ticket(request)
        with self._lock:
            self._waiting.append(ticket)
            leads = not self._leading
            self._leading = True
        if not leads and not ticket.baton.acquire(timeout=self._patience):
            self._give_up_or_wait(ticket)
        if ticket.answer is None:
            self._lead(ticket)
        answer = ticket.answer
        if isinstance(answer, LogError):
            raise answer
        assert answer is not None
        return answer

    def _give_up_or_wait(self, ticket: _Ticket) -> None:
        """Out of patience: leave the queue, unless the request is being sent already or the lead was just handed over."""
        with self._lock:
            if ticket.baton.acquire(blocking=False):
                return
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                raise LogDown("the log server is too slow")
        ticket.baton.acquire()

    def _lead(self, own: _Ticket) -> None:
        """Send everything that waits, the own request among it, then hand the lead on."""
        with self._lock:
            group = self._take(own)
        began = time.perf_counter()
        try:
            answers: list[Appended | LogError] = self._log.append([ticket.request for ticket in group])
        except LogError as error:
            answers = [error] * len(group)
        except BaseException:
            self._finish(group, [LogDown("the append was cut short")] * len(group))
            raise
        measures.append_seconds.observe(time.perf_counter() - began)
        measures.append_requests.observe(len(group))
        self._finish(group, answers)

    def _take(self, own: _Ticket) -> list[_Ticket]:
        group, size = [own], own.size
        rest = []
        for ticket in self._waiting:
            if ticket is own:
                continue
            if len(group) < MOST_REQUESTS and size + ticket.size <= MOST_BYTES:
                group.append(ticket)
                size += ticket.size
            else:
                rest.append(ticket)
        self._waiting = rest
        return group

    def _finish(self, group: list[_Ticket], answers: list[Appended | LogError]) -> None:
        for ticket, answer in zip(group, answers, strict=True):
            ticket.answer = answer
        with self._lock:
            successor = self._waiting[0] if self._waiting else None
            self._leading = successor is not None
            if successor is not None:
                successor.baton.release()
        for ticket in group[1:]:
            ticket.baton.release()

"""Somebody who is told of alerts: keeps what arrived and how it was answered, and is not always well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.alerts.receivers import Received, Reply, WebServer

__all__ = ["Inbox"]

#: Every so many requests one is refused, for now.
_REFUSED = 9


@dataclass
class Inbox(WebServer):
    """See WebServer."""

    #: Requests with the status of the answer that was given, whether or not the sender was still there to hear it.
    answered: list[tuple[Received, int]] = field(default_factory=list)

    def answer(self, request: Received) -> Reply:
        if len(self.received) % _REFUSED == _REFUSED - 1:
            self.replies.append((503, {"Retry-After": "1"}))
        reply = super().answer(request)
        self.answered.append((request, reply[0]))
        return reply

    @contextmanager
    def holding(self) -> Iterator[threading.Event]:
        """Leave requests without an answer, until this ends. The event is set when one waits."""
        arrived, release = threading.Event(), threading.Event()
        self.before_answer = lambda _: arrived.set()
        self.hold = release
        try:
            yield arrived
        finally:
            release.set()

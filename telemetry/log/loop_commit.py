"""Group commit on an event loop: requests that come while a round trip is under way share the next one.

A caller goes on only after its own data is in the log (and on disk there).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from telemetry import measures
from telemetry.log.breaker import Breaker
from telemetry.log.entries import Append, Appended, LogDown, LogError
from telemetry.log.group_commit import MOST_BYTES, MOST_REQUESTS

_Waiting = tuple[Append, "asyncio.Future[Appended | LogError]"]


class LoopCommit:
    """Of one event loop. ``append`` appends some requests, as LoopLog.append; one call at a time."""

    def __init__(
        self, append: Callable[[list[Append]], Awaitable[list[Appended | LogError]]], breaker: Breaker
    ) -> None:
        self._append = append
        self._breaker = breaker
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    async def append(self, request: Append) -> Appended:
        """Append one request. Raises a LogError."""
        self._breaker.require_closed()
        answer: asyncio.Future[Appended | LogError] = self._loop.create_future()
        self._waiting.append((request, answer))
        if self._running is None:
            self._running = self._loop.create_task(self._run())
        outcome = await answer
        if isinstance(outcome, LogError):
            raise outcome
        return outcome

    async def _run(self) -> None:
        """Round trips until nothing waits."""
        try:
            while self._waiting:
                await self._round()
        finally:
            self._running = None

    async def _round(self) -> None:
        group = self._take()
        began = time.perf_counter()
        try:
            answers = await self._append([request for request, _ in group])
            self._breaker.succeeded()
            measures.append_seconds.observe(time.perf_counter() - began)
            measures.append_requests.observe(len(group))
        except LogDown as error:
            self._breaker.failed()
            # Whoever came meanwhile would wait as long again, for the same answer.
            group += self._waiting
            self._waiting.clear()
            answers = [error] * len(group)
        except LogError as error:
            answers = [error] * len(group)
        except BaseException as error:
            group += self._waiting
            self._waiting.clear()
            self._answer(group, [LogDown(f"the append was cut short: {error!r}")] * len(group))
            raise
        self._answer(group, answers)

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < MOST_REQUESTS:
            size += sum([len(payload) for _, payload in self._waiting[0][0].entries])
            if group and size > MOST_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    @staticmethod
    def _answer(group: list[_Waiting], answers: list[Appended | LogError]) -> None:
        for (_, future), answer in zip(group, answers, strict=True):
            if not future.done():  # who asked may have gone
                future.set_result(answer)

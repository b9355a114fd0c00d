"""Readings over HTTP (ASGI), on an event loop: no thread waits for a slow sender, the log, or ``?wait=``.

What this process knows already (keys, series) is answered for on the loop itself; what has to be asked of the database,
and the decoding of large bodies, goes to a few threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import DatabaseError, InterfaceError, close_old_connections

from telemetry import measures
from telemetry.deadline import database_deadline
from telemetry.gateways.readings import (
    Answer,
    Head,
    Refused,
    Taken,
    answered,
    check,
    cut_short,
    decoded,
    final_state,
    refusal,
    seconds_to_wait,
    too_large,
)
from telemetry.intake.accept import Accepted, Unavailable, finish, prepare, unavailable
from telemetry.intake.decode import ARROW
from telemetry.intake.process import Process, process
from telemetry.log.entries import Appended, LogError
from telemetry.log.loop_commit import LoopCommit
from telemetry.registry import KeyEntry
from telemetry.registry.registry import RegistryStale

__all__ = ["BodyRoom", "Gateway", "Receive", "Scope"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
T = TypeVar("T")

#: A sender has so long for its body, and the database for all that a request asks of it.
_BODY_SECONDS = 30.0
_DATABASE_SECONDS = 7.0
#: Larger bodies would hold up the others on the loop: 1,000 readings take 2 ms.
_MOST_BYTES_ON_LOOP = 1 << 18
_THREADS = 4
#: Seconds between looks at a receipt that is waited for: at first, and at most.
_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.1
#: Bodies that are being received or decoded at one time, in all.
_MOST_BYTES_HELD = 64 << 20
_NOTHING = Appended("", [])
_NOT_TAKEN = (Unavailable, RegistryStale, DatabaseError, InterfaceError)


class Gateway:
    """Of one process and its event loop."""

    def __init__(self, room: BodyRoom) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "intake")
        self._commit: LoopCommit | None = None
        self._here: Process | None = None
        self._room = room
        self._counters: dict[int, Any] = {}
        self._stopping = False

    def stop_waiting(self) -> None:
        """This process is about to end: answers that are held until all is stored come now, as they are."""
        self._stopping = True

    async def answer(self, scope: Scope, receive: Receive, request_id: str, trace: bytes = b"") -> Answer:
        """The answer to POST /api/v1/readings. ``trace``: the request's trace context, empty where it is not traced."""
        try:
            answer = await self._answer(_head(scope, request_id, trace), receive)
        except Refused as refused:
            answer = refused.answer
        except _NOT_TAKEN as error:
            answer = refusal(error).answer
        counter = self._counters.get(answer.status)
        if counter is None:
            counter = self._counters[answer.status] = measures.intake_requests.labels(status=str(answer.status))
        counter.inc()
        return answer

    async def _answer(self, head: Head, receive: Receive) -> Answer:
        now = time.time()
        here = process()
        if self._here is not here:  # the first request: the registry's first look at the database takes a while
            await self._in_thread(here.require_ready)
        if self._here is not here:  # nor has another request been faster: each would keep a connection of its own
            self._here, self._commit = here, here.loop_commit()
        key = await self._soon(check, head, here, now)
        body = await self._room.read(receive, settings.PLATFORM.max_body_bytes, head.length)
        try:
            accepted = await self._take(head, key, body, here, now)
        finally:
            self._room.leave(body)
        answer = answered(accepted)
        seconds = seconds_to_wait(head)
        return (await self._wait(seconds, here, accepted) if seconds else None) or answer

    async def _take(self, head: Head, key: KeyEntry, body: bytes, here: Process, now: float) -> Accepted:
        if head.length is not None and len(body) != head.length:
            raise cut_short()
        on_loop = len(body) <= _MOST_BYTES_ON_LOOP and head.encoding != "gzip" and head.content_type != ARROW
        try:
            if on_loop:
                taken = decoded(head, key, body, here, now)
            else:
                taken = await self._in_thread(decoded, head, key, body, here, now)
        except Refused as refused:
            if refused.keep is not None:
                await self._accept(refused.keep, here, on_loop=True)
            raise
        return await self._accept(taken, here, on_loop)

    async def _accept(self, taken: Taken, here: Process, on_loop: bool) -> Accepted:
        """As telemetry.intake.accept.accept."""
        run = self._soon if on_loop else self._in_thread
        prepared = await run(prepare, taken.columns, taken.sender, taken.received_at)
        appended = _NOTHING
        if prepared.append is not None:
            assert self._commit is not None
            try:
                appended = await self._commit.append(prepared.append)
            except LogError as error:
                raise unavailable(error) from error
        return finish(prepared, appended)

    async def _wait(self, seconds: float, here: Process, accepted: Accepted) -> Answer | None:
        """Hold the answer until all is stored; None where the time is up, or too many wait already."""
        if accepted.receipt is None or not here.waiters.acquire(blocking=False):
            return None
        measures.intake_waiting.inc()
        try:
            end = time.monotonic() + seconds
            pause = _FIRST_LOOK
            while (left := end - time.monotonic()) > 0 and not self._stopping:
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 1.5, _LONGEST_LOOK)
                # A database that is away or hangs must not hold the answer longer than was asked for.
                left = max(0.05, end - time.monotonic())
                look = self._in_thread(final_state, accepted, accepted.receipt, seconds=left)
                if answer := await asyncio.wait_for(look, left):
                    return answer
        except TimeoutError:
            pass  # the thread gives up by itself
        finally:
            measures.intake_waiting.dec()
            here.waiters.release()
        return None

    async def _soon(self, do: Callable[..., T], *arguments: Any) -> T:
        """Do it on the loop, or in a thread where it turns out that it has to ask the database."""
        try:
            return do(*arguments)
        except SynchronousOnlyOperation:
            return await self._in_thread(do, *arguments)

    async def _in_thread(self, do: Callable[..., T], *arguments: Any, seconds: float = _DATABASE_SECONDS) -> T:
        """Do it in a thread; the database may be waited for so long."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _bounded, do, arguments, time.monotonic() + seconds
        )


class BodyRoom:
    """What the bodies of a process's requests may take of its memory, together, while they come and are worked at."""

    def __init__(self, most: int = _MOST_BYTES_HELD, seconds: float = _BODY_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self.held = 0

    async def read(self, receive: Receive, most: int, length: int | None = None) -> bytes:
        """A body of at most ``most`` bytes, which is held until ``leave``. Raises Refused.

        ``length`` is what was announced: the server says that there is no more in a message of its own, and each of them
        costs a small request a fifth of its way through the server.
        """
        pieces: list[bytes] = []
        size = 0

        def take(message: MutableMapping[str, Any]) -> bool:
            """Whether there is more to come."""
            nonlocal size
            if message["type"] != "http.request":
                raise cut_short()
            piece = message.get("body", b"")
            size += len(piece)
            self.held += len(piece)
            if size > most:
                raise too_large()
            if self.held > self._most:
                raise Refused(503, "Too much is being sent at once, send it again later.", Retry_After="1")
            pieces.append(piece)
            return bool(message.get("more_body", False)) and size != length

        try:
            # A connection whose body has not begun holds no more than an idle one does: no clock runs yet.
            if take(await receive()):
                async with asyncio.timeout(self._seconds):
                    while take(await receive()):
                        pass
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except TimeoutError:
            self.held -= size
            raise Refused(408, f"The body did not come within {self._seconds:.0f} s.", Connection="close") from None
        except BaseException:
            self.held -= size
            raise

    def leave(self, body: bytes) -> None:
        """It is done with."""
        self.held -= len(body)


def _bounded(do: Callable[..., T], arguments: tuple[Any, ...], end: float) -> T:
    """In a thread: until that moment (monotonic) a request may wait for the database, whose connection goes back to the
    pool. It began when the request asked for a thread: others may have waited in all of them before."""
    try:
        with database_deadline(end - time.monotonic()):
            return do(*arguments)
    finally:
        close_old_connections()


def _head(scope: Scope, request_id: str, trace: bytes) -> Head:
    headers = dict(scope["headers"])
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
    length = headers.get(b"content-length")
    return Head(
        headers.get(b"authorization", b"").decode("latin-1"),
        headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower(),
        headers.get(b"content-encoding", b"").decode("latin-1").strip().lower(),
        headers.get(b"idempotency-key", b"").decode("latin-1"),
        int(length) if length else None,
        request_id,
        query.get("wait"),
        query.get("judge") == "true",
        trace,
    )

"""LoopLog as a driver of the log, so that it is held to the same promises as RedisLog."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from telemetry.log.entries import Append, Appended, LogError
from telemetry.log.redis_loop import LoopLog
from telemetry.log.redis_streams import RedisLog

__all__ = ["LoopDriver", "on_loop"]

T = TypeVar("T")
_loop: asyncio.AbstractEventLoop | None = None


def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Done on an event loop as the web process has it, in a thread of its own."""
    global _loop
    if _loop is None:
        _loop = uvloop.new_event_loop()
        threading.Thread(target=_loop.run_forever, name="loop", daemon=True).start()
    return asyncio.run_coroutine_threadsafe(work, _loop).result(30)


class LoopDriver(RedisLog):
    """A log whose appends are written and read by an event loop."""

    _appends: LoopLog | None = None

    def append(self, requests: list[Append]) -> list[Appended | LogError]:
        return on_loop(self.append_on_loop(requests))

    async def append_on_loop(self, requests: list[Append]) -> list[Appended | LogError]:
        """The same, for who is on the loop already."""
        if self._appends is None:
            self._appends = LoopLog(self)
        return await self._appends.append(requests)

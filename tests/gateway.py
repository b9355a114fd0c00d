"""The web application as a server would call it, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from django.http import HttpResponse

from iotplatform.web import application

__all__ = ["Answered", "request", "running_loop"]


class Answered(HttpResponse):
    """What came back; ``json()`` as the test client's answers have it."""

    def json(self) -> Any:
        return json.loads(self.content)


@cache
def running_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="web-loop", daemon=True).start()
    return loop


def request(
    method: str,
    path: str,
    body: bytes | list[bytes] = b"",
    headers: dict[str, str] | None = None,
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> Answered:
    """One request; a list of bytes comes in these pieces, without a Content-Length unless ``headers`` give one."""
    pieces = body if isinstance(body, list) else [body]
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if isinstance(body, bytes) and body:
        given.setdefault("content-length", str(len(body)))
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path, "scheme": "http",
        "query_string": query.encode(), "root_path": "", "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in given.items())],
    }  # fmt: skip
    messages = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]
    coming = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive_next() -> dict[str, Any]:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    task = application(scope, receive or receive_next, send)
    asyncio.run_coroutine_threadsafe(task, running_loop()).result(60)
    start = sent[0]
    answer = Answered(b"".join(message.get("body", b"") for message in sent[1:]), status=start["status"])
    for name, value in start["headers"]:
        answer[name.decode()] = value.decode()
    return answer

"""The web application: readings are taken on the event loop, everything else goes through Django in threads."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from time import perf_counter
from typing import Any

import structlog
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application

from iotplatform.observability.requests import DATA_HEADERS, QUIET_STATUSES, RequestTimers, request_id_of
from telemetry import tracing
from telemetry.gateways.http import BodyRoom, Gateway, Receive, Scope
from telemetry.gateways.readings import Refused

__all__ = ["application"]

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

READINGS = "/api/v1/readings"
_log = structlog.get_logger("access")
_django = get_wsgi_application()
_data_headers = [(name.lower().encode(), value.encode()) for name, value in DATA_HEADERS.items()]
if settings.SECURE_HSTS_SECONDS:
    _data_headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"))


def _until_gone(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's answer, as long as somebody listens."""
    answer = _django(environ, start_response)
    gone: threading.Event = environ["asgi.scope"]["iotplatform.gone"]

    def pieces() -> Iterator[bytes]:
        try:
            for piece in answer:
                if gone.is_set():
                    break
                yield piece
        finally:
            answer.close()

    return pieces()


_pages = WSGIMiddleware(_until_gone, workers=settings.PLATFORM.web_threads)  # type: ignore[arg-type]
_room = BodyRoom()
_gateway = Gateway(_room)
_timers = RequestTimers()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI 3."""
    if scope["type"] == "http":
        if scope["path"] == READINGS and scope["method"] == "POST":
            await _readings(scope, receive, send)
        else:
            await _page(scope, receive, send)
    elif scope["type"] == "lifespan":
        _answer_before_the_end()
        await _pages(scope, receive, send)  # type: ignore[arg-type]


def _answer_before_the_end() -> None:
    """On SIGTERM no answer is held any longer (?wait=), for whoever waits past the grace would get none.

    The server finishes requests that are under way on SIGTERM and on SIGINT alike: the second one is handed on to it.
    """

    def stop() -> None:
        _gateway.stop_waiting()
        os.kill(os.getpid(), signal.SIGINT)

    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)


async def _readings(scope: Scope, receive: Receive, send: Send) -> None:
    began = perf_counter()
    request_id = request_id_of(_header(scope, b"x-request-id"))
    span = tracing.spans.request("POST", _header(scope, b"traceparent") or "") if tracing.spans is not None else None
    try:
        answer = await _gateway.answer(scope, receive, request_id, span.carried if span is not None else b"")
    except Exception:  # a fault of ours: the sender is told so, and the log what it was
        _log.exception("request_failed", path=READINGS, request_id=request_id)
        answer = Refused(
            500, f"Something went wrong on our side; quote request {request_id} when you report it."
        ).answer
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-request-id", request_id.encode()),
        *_data_headers,
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
    seconds = perf_counter() - began
    _timers.observe("POST", READINGS[1:], answer.status, seconds)
    if span is not None:
        span.end("POST", READINGS, answer.status)
    if answer.status not in QUIET_STATUSES:
        write = _log.error if answer.status >= 500 else _log.info
        ms = round(seconds * 1000, 2)
        traced = {"trace_id": span.trace_id} if span is not None else {}
        write("request", method="POST", path=READINGS, status=answer.status, ms=ms, request_id=request_id, **traced)


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    """Django gets a request once its body is here, so that no thread waits for a slow sender."""
    try:
        body = await _room.read(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    except Refused as refused:
        await _refuse(refused, request_id_of(_header(scope, b"x-request-id")), send)
        return
    try:
        await _through_django(scope, body, send)
    finally:
        _room.leave(body)


async def _through_django(scope: Scope, body: bytes, send: Send) -> None:
    # Names with underscores would pass for ones with hyphens, such as those that only a proxy may set.
    scope["headers"] = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    scope["query_string"] = scope["query_string"].decode("latin-1").encode("ascii", "ignore")
    gone = scope["iotplatform.gone"] = threading.Event()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def received() -> Message:
        return next(messages, {"type": "http.disconnect"})

    async def sent(message: Message) -> None:
        if not gone.is_set():
            try:
                await send(message)
            except Exception:  # whatever the server raises where the client has hung up
                gone.set()

    await _pages(scope, received, sent)  # type: ignore[arg-type]


async def _refuse(refused: Refused, request_id: str, send: Send) -> None:
    answer = refused.answer
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
        *_data_headers,
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items() if name != "Connection"),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

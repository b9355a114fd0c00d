"""The spans there are. Names and attributes follow OpenTelemetry's semantic conventions where it has some (HTTP,
messaging); ours begin with ``iot.``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import random

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from telemetry.tracing.context import StoredEntry, as_bytes, as_text, is_sampled

__all__ = ["RequestSpan", "SendSpan", "Spans"]

#: Spans one drain makes: of a burst of traced requests the first tell the story.
_MOST_A_DRAIN = 128
_MOST_LINKS = 16


class RequestSpan:
    """A request that is being answered."""

    def __init__(self, span: Span) -> None:
        self._span = span
        #: Its context, for those who go on with the work: see telemetry.tracing.context.
        self.carried = _carried(span)

    @property
    def trace_id(self) -> str:
        """32 hex digits, as logs and other tools have it."""
        return self.carried[:16].hex()

    def end(self, method: str, route: str, status: int) -> None:
        """It was answered so. ``route`` is the pattern, not the path: names of devices are not for trace lists."""
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class SendSpan:
    """A message on its way to a receiver."""

    def __init__(self, span: Span) -> None:
        self._span = span
        #: The header for the receiver.
        self.traceparent = as_text(_carried(span))

    def failed(self, why: str) -> None:
        """The receiver did not take it, for that reason."""
        self._span.set_status(Status(StatusCode.ERROR, why))


class Spans:
    """Begins spans of one process."""

    def __init__(self, tracer: Tracer, sample: float) -> None:
        self._tracer = tracer
        self._sample = sample

    def request(self, method: str, traceparent: str) -> RequestSpan | None:
        """A request comes in. The sender decides whether it is traced, where it sends a ``traceparent``; else chance."""
        parent = as_bytes(traceparent) if traceparent else b""
        if not (is_sampled(parent) if parent else random() < self._sample):
            return None
        attributes = {"http.request.method": method}
        context = _within(parent) if parent else None
        return RequestSpan(self._tracer.start_span(method, context, SpanKind.SERVER, attributes))

    def stored(self, shard: int, entries: Sequence[StoredEntry], began: int, ended: int) -> None:
        """A drain committed these entries. ``began``, ``ended``: ns since 1970."""
        for entry in entries[:_MOST_A_DRAIN]:
            attributes: dict[str, str | int] = {
                "messaging.system": "redis",
                "messaging.operation.type": "process",
                "messaging.message.id": entry.entry_id,
                "messaging.batch.message_count": len(entries),
                "iot.shard": shard,
                "iot.readings": entry.readings,
            }
            span = self._tracer.start_span(
                f"store shard {shard}", _within(entry.carried), SpanKind.CONSUMER, attributes, start_time=began
            )
            span.end(ended)

    @contextmanager
    def sending(self, kind: str, channel: str, attempt: int, traceparents: Sequence[str]) -> Iterator[SendSpan | None]:
        """A message is sent, because of what these traced requests brought; None where there are none.

        It belongs to the first one's trace and is linked to the others.
        """
        causes = [carried for carried in map(as_bytes, traceparents) if carried]
        if not causes:
            yield None
            return
        span = self._tracer.start_span(
            f"send {kind}",
            _within(causes[0]),
            SpanKind.CLIENT,
            {"iot.channel": channel, "iot.channel.kind": kind, "iot.attempt": attempt},
            links=[Link(_context(carried)) for carried in causes[1:_MOST_LINKS]],
        )
        try:
            yield SendSpan(span)
        finally:
            span.end()


def _context(carried: bytes) -> SpanContext:
    return SpanContext(
        int.from_bytes(carried[:16], "big"), int.from_bytes(carried[16:24], "big"), True, TraceFlags(carried[24])
    )


def _within(carried: bytes) -> Context:
    return set_span_in_context(NonRecordingSpan(_context(carried)))


def _carried(span: Span) -> bytes:
    context = span.get_span_context()
    return context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big") + bytes([context.trace_flags])

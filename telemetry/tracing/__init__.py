"""Traces: what became of one request, from the web process over the drain to the notifications of its alerts.

A request's trace (W3C Trace Context) travels with its entry in the log and stands with the changes of alerts that its
readings made, so that spans of other processes, seconds later, belong to it. Off unless TRACING_ENDPOINT is set: then
nothing of OpenTelemetry is loaded, and `spans` stays None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.tracing.spans import Spans

__all__ = ["spans", "switch_on"]

#: Those of this process; None where tracing is off. Read as ``tracing.spans``, for it is set once the process has begun.
spans: Spans | None = None


def switch_on(endpoint: str, headers: Mapping[str, str], sample: float, process_name: str) -> None:
    """Send spans to an OTLP collector over HTTP from now on; an empty ``endpoint`` leaves tracing off.

    ``endpoint``: its base URL, such as http://127.0.0.1:4318. ``sample``: share of requests that are traced where the
    sender does not say, from 0 to 1. To be called once in each process, before threads begin.
    """
    global spans
    if endpoint:
        from telemetry.tracing.export import exporting_tracer
        from telemetry.tracing.spans import Spans

        spans = Spans(exporting_tracer(endpoint, headers, process_name), sample)

"""Where spans go: an OTLP collector, over HTTP, from a thread of each process. A collector that is slow or away costs
spans and nothing else: the queue is bounded, and what does not fit is dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

__all__ = ["exporting_tracer"]

_MOST_WAITING = 4096
_MOST_AT_ONCE = 512
_EVERY_MILLISECONDS = 1000
_TIMEOUT_SECONDS = 5


def exporting_tracer(endpoint: str, headers: Mapping[str, str], process_name: str) -> Tracer:
    """A tracer whose spans are sent to ``endpoint``/v1/traces within about a second, and at the process's end."""
    exporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", headers=dict(headers), timeout=_TIMEOUT_SECONDS
    )
    # drain1 and drain2 are one service to whoever looks at traces.
    service = f"iot-{re.sub(r'[0-9]+$', '', process_name)}"
    provider = TracerProvider(
        # Which requests are traced is decided before a span is begun (Spans.request).
        sampler=ALWAYS_ON,
        resource=Resource.create({"service.name": service, "service.instance.id": process_name}),
    )
    processor = BatchSpanProcessor(
        exporter,
        max_queue_size=_MOST_WAITING,
        max_export_batch_size=_MOST_AT_ONCE,
        schedule_delay_millis=_EVERY_MILLISECONDS,
    )
    provider.add_span_processor(processor)
    return provider.get_tracer("iotplatform")

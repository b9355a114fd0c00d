"""One trace from the request over the drain to the webhook, with a collector of OpenTelemetry's protocol out there."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.alerts.receivers import WebServer, web_server
from tests.faults.alert_admin import SETTINGS, Admin
from tests.live import LivePlatform

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
NOT_SAMPLED = f"00-{'7' * 32}-{'8' * 16}-00"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collector() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def platform(collector: WebServer) -> Iterator[LivePlatform]:
    traces = {
        "TRACING_ENDPOINT": f"http://127.0.0.1:{collector.port}/otlp",
        "TRACING_SAMPLE": "0",
        "TRACING_HEADERS": "Authorization=Bearer of-the-collector",
    }
    with (
        tempfile.TemporaryDirectory(prefix="iot-traces-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "run", **SETTINGS, **traces) as running,
    ):
        yield running


def spans_of(collector: WebServer, trace: str) -> dict[str, tuple[str, Any]]:
    """By name: the service and the span."""
    found = {}
    for post in list(collector.received):
        assert post.path == "/otlp/v1/traces"
        assert post.headers["authorization"] == "Bearer of-the-collector"
        raw = gzip.decompress(post.raw) if post.headers.get("content-encoding") == "gzip" else post.raw
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if span.trace_id.hex() == trace:
                        found[span.name] = (about["service.name"], span)
    return found


def test_a_request_its_storing_and_its_notification_are_one_trace(
    platform: LivePlatform, collector: WebServer, receiver: WebServer
) -> None:
    admin = Admin(platform)
    admin.no_routes()
    admin.tell("ops", receiver.url)
    admin.make("devices", {"name": "pump-7"})
    key = str(admin.make("devices/pump-7/keys", {"name": "test"})["key"])
    level = {"severity": "critical", "trigger": 90}
    admin.make(
        "thresholds",
        {"name": "Hot", "scope": {"device": "pump-7"}, "metric": "t", "condition": "above", "levels": [level]},
    )
    answer = platform.post({"metrics": {"t": 21}}, key, "?wait=5", traceparent=NOT_SAMPLED)
    assert answer.status == 200
    answer = platform.post({"metrics": {"t": 95}}, key, "?wait=5", traceparent=PARENT)
    assert answer.status == 200

    sent = platform.wait_until(lambda: receiver.received, 30, "a notification")[0]
    names = {"POST /api/v1/readings", "send webhook"}
    spans = platform.wait_until(
        lambda: (found := spans_of(collector, TRACE)) and names <= found.keys() and len(found) >= 3 and found,
        30,
        "the spans",
    )
    request, stored, told = (
        next(span for name, span in spans.items() if name.startswith(start)) for start in ("POST", "store", "send")
    )
    assert [request[0], stored[0], told[0]] == ["iot-web", "iot-drain", "iot-worker"]
    assert request[1].parent_span_id.hex() == "00f067aa0ba902b7"
    assert stored[1].parent_span_id == told[1].parent_span_id == request[1].span_id
    assert request[1].start_time_unix_nano <= stored[1].end_time_unix_nano <= told[1].end_time_unix_nano
    # The receiver can go on with it.
    assert sent.headers["traceparent"] == f"00-{TRACE}-{told[1].span_id.hex()}-01"
    assert not spans_of(collector, "7" * 32), "its sender said that it is not traced"


def test_a_page_is_a_span_named_by_its_route_and_its_log_line_names_the_trace(
    platform: LivePlatform, collector: WebServer
) -> None:
    trace = "a" * 32
    headers = {"traceparent": f"00-{trace}-{'b' * 16}-01"}
    answer = platform.request("GET", "/api/v1/devices/no-such-device", None, headers)
    assert answer.status == 401
    name = "GET /api/v1/devices/<str:name>"
    spans = platform.wait_until(lambda: spans_of(collector, trace), 30, "its span")
    assert set(spans) == {name}

    def line() -> Any:
        for text in platform.log("web").splitlines():
            with suppress(ValueError):
                said = json.loads(text)
                if isinstance(said, dict) and said.get("trace_id") == trace:
                    return said
        return None

    assert platform.wait_until(line, 10, "its line")["status"] == 401


def test_a_collector_that_is_away_costs_no_reading(platform: LivePlatform, collector: WebServer) -> None:
    key = platform.provision("pump-8")
    collector.replies += [(503, {})] * 50
    for value in range(20):
        assert platform.post({"metrics": {"t": value}}, key, "?wait=5", traceparent=PARENT).status == 200

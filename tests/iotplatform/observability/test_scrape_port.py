"""Workers without a web server beside them show their own metrics."""

import dataclasses
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from iotplatform.observability import scrape_port
from tests.live import LivePlatform, free_port


def get(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers), timeout=5
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def port():
    chosen = free_port()
    server = scrape_port.serve("127.0.0.1", chosen)
    yield chosen
    server.shutdown()
    server.server_close()


def test_nothing_listens_unless_it_is_asked_for():
    assert scrape_port.serve("127.0.0.1", 0) is None


def test_what_was_counted_is_shown_and_no_server_is_asked(port):
    status, text = get(port)
    assert status == 200
    assert "# HELP iot_" in text
    assert "iot_up{" not in text
    assert get(port, "/")[0] == 404


def test_only_those_may_read_it_who_may_read_the_web_servers(port, settings):
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, metrics_networks="10.0.0.0/8", metrics_token="let-me-in")
    assert get(port)[0] == 403
    assert get(port, **{"X-Forwarded-For": "10.1.2.3"})[0] == 403
    assert get(port, Authorization="Bearer let-me-in")[0] == 200


@pytest.mark.slow
def test_a_drain_and_beat_alone_in_their_pods_are_scraped(tmp_path: Path) -> None:
    port = free_port()
    with LivePlatform(tmp_path, run=["drain1"], METRICS_PORT=str(port)) as platform:
        platform.wait_until(lambda: _answers(port), 30, "the worker's metrics")
        platform.stop("drain1")
        platform.restart("beat")
        platform.wait_until(lambda: _answers(port), 30, "beat's metrics")


def _answers(port: int) -> bool:
    try:
        return get(port)[0] == 200
    except OSError:
        return False

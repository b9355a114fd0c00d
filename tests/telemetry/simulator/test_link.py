"""The simulator's connection, against a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from telemetry.simulator.link import Link, Unreachable


class Platform(ThreadingHTTPServer):
    """Answers every POST with the next of `answers`: (status, headers, body)."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str | None, bytes]] = []
        super().__init__(("127.0.0.1", port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        status, headers, content = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def platform() -> Iterator[Platform]:
    server = Platform()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url_of(server: Platform) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_an_answer_is_understood_with_its_reasons(platform: Platform) -> None:
    told = {"accepted": 3, "rejected": 2, "errors": [{"index": 0, "code": "too_old"}, {"index": 1, "code": "too_old"}]}
    platform.answers.append((202, {}, json.dumps(told).encode()))
    answer = Link(url_of(platform)).post(b"[]", "iot_key")
    assert (answer.status, answer.accepted, answer.rejected, answer.codes) == (202, 3, 2, {"too_old": 2})
    assert platform.requests == [("/api/v1/readings", "Bearer iot_key", b"[]")]


@pytest.mark.parametrize(("header", "seconds"), [("12", 12.0), ("Fri, 20 Nov 2026 12:00:00 GMT", None), ("-3", 0.0)])
def test_a_proxys_error_page_is_an_answer_too(platform: Platform, header: str, seconds: float | None) -> None:
    platform.answers.append((503, {"Retry-After": header}, b"<html>down</html>"))
    answer = Link(url_of(platform)).post(b"{}", "k")
    assert (answer.status, answer.retry_after, answer.accepted) == (503, seconds, 0)


def test_a_connection_that_the_server_closed_is_opened_anew(platform: Platform) -> None:
    platform.answers += [(202, {"Connection": "close"}, b"{}"), (202, {}, b"{}")]
    link = Link(url_of(platform))
    assert [link.post(b"1", "k").status, link.post(b"2", "k").status] == [202, 202]


def test_a_platform_that_is_gone_is_unreachable_until_it_is_back() -> None:
    server = Platform()
    url, port = url_of(server), server.server_address[1]
    server.server_close()
    link = Link(url)
    with pytest.raises(Unreachable):
        link.post(b"1", "k")
    back = Platform(port)
    back.answers.append((202, {}, b"{}"))
    back.timeout = 10
    thread = threading.Thread(target=back.handle_request)
    thread.start()
    assert link.post(b"2", "k").status == 202
    back.server_close()
    thread.join()


def test_cut_ends_a_request_that_waits_for_its_answer() -> None:
    silent = Platform()  # accepts into its backlog and never answers
    link = Link(url_of(silent))
    ended = threading.Event()

    def wait_for_answer() -> None:
        with pytest.raises(Unreachable):
            link.post(b"1", "k")
        ended.set()

    thread = threading.Thread(target=wait_for_answer, daemon=True)
    thread.start()
    for _ in range(500):
        link.cut()
        if ended.wait(0.01):
            break
    silent.server_close()
    assert ended.is_set()

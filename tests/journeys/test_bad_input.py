"""Hostile bytes over real connections: the web server answers, takes nothing it should not, and keeps its memory."""

from __future__ import annotations

import gzip
import io
import json
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.live import LivePlatform

_GB, _MIB = 1 << 30, 1 << 20
_PIECE = b" " * _MIB


@pytest.fixture(scope="module")
def platform() -> Iterator[LivePlatform]:
    with tempfile.TemporaryDirectory(prefix="iot-bad-") as folder, LivePlatform(Path(folder), run=["web"]) as platform:
        yield platform


@pytest.fixture(scope="module")
def key(platform: LivePlatform) -> str:
    return platform.provision("pump-7")


@pytest.fixture(autouse=True)
def unharmed(platform: LivePlatform, key: str) -> Iterator[None]:
    """After each test the server takes readings as before, has grown by little, and nothing was an error of its own."""
    platform.post({"metrics": {"a": 1}}, key)
    before = platform.memory("web")
    logged = len(platform.log("web"))
    yield
    # One web process may notice a little later than the other that a server is back.
    platform.wait_until(lambda: platform.post({"metrics": {"a": 1}}, key).status == 202, 15, "it takes readings again")
    assert platform.memory("web") - before < 150 * _MIB
    assert '"status": 500' not in platform.log("web")[logged:]


def head(platform: LivePlatform, key: str, *lines: str) -> bytes:
    first = ("POST /api/v1/readings HTTP/1.1", f"Host: 127.0.0.1:{platform.port}", "Content-Type: application/json")
    return ("\r\n".join([*first, f"Authorization: Bearer {key}", *lines]) + "\r\n\r\n").encode("latin-1")


def status_of(platform: LivePlatform, start: bytes, body: Iterable[bytes] = (), *, end: bool = False) -> int | None:
    """Send as much as the server takes; the status it answers with, None where it hangs up without one."""
    with closing(socket.create_connection(("127.0.0.1", platform.port), timeout=20)) as connection:
        try:
            connection.sendall(start)
            for piece in body:
                connection.sendall(piece)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough; its answer may still be there
        try:
            answer = connection.recv(100)
        except ConnectionResetError:
            return None
    return int(answer.split()[1]) if answer else None


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def test_a_body_of_a_gigabyte_is_refused_unread(platform: LivePlatform, key: str) -> None:
    began, before = time.monotonic(), platform.memory("web")
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(_GB // _MIB):
            sent += 1
            yield _PIECE

    assert status_of(platform, head(platform, key, f"Content-Length: {_GB}"), pieces()) in (413, None)
    assert time.monotonic() - began < 10
    assert sent < 100, "it does not wait for the end"
    assert platform.memory("web") - before < 150 * _MIB


def test_an_endless_chunked_body_is_cut_off(platform: LivePlatform, key: str) -> None:
    began, before = time.monotonic(), platform.memory("web")
    body = chunked(_PIECE for _ in range(_GB // _MIB))
    assert status_of(platform, head(platform, key, "Transfer-Encoding: chunked"), body) in (413, None)
    assert time.monotonic() - began < 10
    assert platform.memory("web") - before < 150 * _MIB


def test_without_a_key_nothing_is_read_at_all(platform: LivePlatform) -> None:
    began = time.monotonic()
    assert status_of(platform, head(platform, "iot_no_key", f"Content-Length: {_GB}"), [_PIECE] * 1024) in (401, None)
    assert time.monotonic() - began < 10


def test_a_chunked_body_is_as_good_as_any(platform: LivePlatform, key: str) -> None:
    pieces = [bytes([byte]) for byte in json.dumps({"metrics": {"a": 1}}).encode()]
    assert status_of(platform, head(platform, key, "Transfer-Encoding: chunked"), chunked(pieces)) == 202


def test_a_gzip_bomb_is_refused(platform: LivePlatform, key: str) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(_GB // _MIB):
            file.write(bytes(_MIB))
    began, before = time.monotonic(), platform.memory("web")
    assert platform.post(packed.getvalue(), key, Content_Encoding="gzip").status == 413
    assert time.monotonic() - began < 10
    assert platform.memory("web") - before < 150 * _MIB


def test_a_body_that_stops_half_way_is_not_taken(platform: LivePlatform, key: str) -> None:
    whole, half = b'{"metrics": {"half": 1}}', b'{"metrics": {"half": 1'
    announced, unended = head(platform, key, "Content-Length: 100"), head(platform, key, "Transfer-Encoding: chunked")
    assert status_of(platform, announced, [whole], end=True) in (400, None)
    assert status_of(platform, unended, [b"18\r\n" + half], end=True) in (400, None)
    assert status_of(platform, unended, [b"16\r\n" + half + b"\r\n"], end=True) in (400, None)
    with platform.database() as database:
        assert database.execute("SELECT count(*) FROM telemetry_series WHERE metric = 'half'").fetchone() == (0,)


def test_a_content_length_that_is_too_small_cuts_the_body(platform: LivePlatform, key: str) -> None:
    assert status_of(platform, head(platform, key, "Content-Length: 5"), [b'{"metrics": {"a": 1}}']) == 400


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "99999999999999999999999", "5, 5", ""])
def test_a_content_length_that_is_none_is_refused(platform: LivePlatform, key: str, length: str) -> None:
    answer = status_of(platform, head(platform, key, f"Content-Length: {length}"), [b"[]   "])
    assert answer is None or 400 <= answer < 500


def test_an_empty_body_is_a_400(platform: LivePlatform, key: str) -> None:
    assert platform.post(b"", key).status == 400


def test_slow_clients_hold_up_nobody_else(platform: LivePlatform, key: str) -> None:
    begun = head(platform, key, "Content-Length: 1000") + b"["
    slow = [socket.create_connection(("127.0.0.1", platform.port)) for _ in range(16)]
    try:
        for connection in slow:
            connection.sendall(begun)
        for _ in range(20):
            assert platform.post({"metrics": {"a": 1}}, key, timeout=5).status == 202
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    "line",
    [
        "Idempotency-Key: \xff\xfe\x80",
        "X-Request-ID: \xff<script>",
        "Content-Encoding: \xff",
        "Authorization: Bearer \xff",
        "Host: \xff",
    ],
)
def test_bytes_that_are_no_text_in_headers_do_no_harm(platform: LivePlatform, key: str, line: str) -> None:
    body = b'{"metrics": {"a": 1}}'
    answer = status_of(platform, head(platform, key, f"Content-Length: {len(body)}", line), [body])
    assert answer is None or 200 <= answer < 500


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_405(platform: LivePlatform, key: str, method: str) -> None:
    answer = platform.request(method, "/api/v1/readings", b"{}", {"Authorization": f"Bearer {key}"})
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("server", ["log", "postgres"])
def test_while_a_server_is_away_nothing_is_taken_and_nobody_waits(
    platform: LivePlatform, key: str, server: str
) -> None:
    platform.kill(server)
    try:
        # A request that came before the loss was noticed may have been taken: into the log, which is alive. Each web
        # process notices by itself, so one refusal says nothing of the others.
        def all_refuse() -> bool:
            return all(platform.post({"metrics": {"a": 1}}, key).status == 503 for _ in range(12))

        platform.wait_until(all_refuse, 8, "the loss is noticed")
        for _ in range(10):
            began = time.monotonic()
            answer = platform.post({"metrics": {"a": 1}}, key)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
            assert time.monotonic() - began < 2
        assert platform.get("/healthz").status == 200
    finally:
        platform.restart(server)
    platform.wait_until(lambda: platform.post({"metrics": {"a": 1}}, key).status == 202, 15, "it takes readings again")


def test_hundreds_of_senders_that_stop_in_the_middle_hold_up_nobody(platform: LivePlatform, key: str) -> None:
    """Many more than all threads of all web processes; half of them at a page."""

    def taken(value: int) -> bool:
        """On a busy machine a process may not have heard of the database for a moment; that is another matter."""
        return platform.post({"metrics": {"a": value}}, key).status == 202

    start = head(platform, key, "Content-Length: 1000") + b'{"metrics": {'
    page = start.replace(b"/api/v1/readings", b"/admin/login/", 1)
    stalled = []
    try:
        for number in range(300):
            stalled.append(socket.create_connection(("127.0.0.1", platform.port), timeout=10))
            stalled[-1].sendall(page if number % 2 else start)
        began = time.monotonic()
        for value in range(20):
            assert taken(value) or platform.wait_until(lambda value=value: taken(value), 5, "it takes readings")
            assert platform.get("/healthz").status == 200
        assert time.monotonic() - began < 10
    finally:
        for connection in stalled:
            connection.close()

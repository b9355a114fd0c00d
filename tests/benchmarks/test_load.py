"""Both load generators send every prebuilt request once and report what was answered."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks import bodies, lines
from benchmarks.fleet import Fleet
from benchmarks.load import sender, wrk
from benchmarks.load.requests import Load, build
from benchmarks.load.result import LostReading

SMALL = Fleet("unit", devices=20)

# wrk is no Python package; where it is missing, the benchmarks use our own generator, too.
GENERATORS = ["sender", "wrk"] if wrk.is_installed() else ["sender"]


class Recorder(BaseHTTPRequestHandler):
    """Answers 202 to every POST and remembers the readings in it; the first one may be refused."""

    protocol_version = "HTTP/1.1"
    seen: Counter[str]
    keys: set[str | None]
    refusals: list[int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refusals:
            self.answer(self.refusals.pop(), b"{}", ("Retry-After", "0"))
            return
        self.keys.add(self.headers["Authorization"])
        self.seen.update(json.dumps(reading) for reading in body)
        self.answer(202, json.dumps({"accepted": len(body), "rejected": 0}).encode())

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Silent(Recorder):
    """Answers like a database that takes the line protocol: 204, with nothing more to read."""

    def do_POST(self) -> None:
        self.seen.update([self.rfile.read(int(self.headers["Content-Length"])).decode()])
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def recorder() -> Iterator[tuple[type[Recorder], int]]:
    with serving(Recorder) as served:
        yield served


@contextmanager
def serving(kind: type[Recorder]) -> Iterator[tuple[type[Recorder], int]]:
    handler = type("Fresh", (kind,), {"seen": Counter(), "keys": set(), "refusals": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def load_of(directory: Path, connections: int, posts: int) -> Load:
    share = bodies.Share(SMALL, 0, connections, 10, posts, 1_700_000_000_000)
    return build(directory, bodies.one_metric, share, "secret")


@pytest.mark.parametrize("connections", [3, 16])
@pytest.mark.parametrize("generator", GENERATORS)
def test_every_request_is_sent_once(
    recorder: tuple[type[Recorder], int], tmp_path: Path, generator: str, connections: int
) -> None:
    handler, port = recorder
    load = load_of(tmp_path, connections, posts=4)
    sent = wrk.send(load, port) if generator == "wrk" else sender.send(load, port, processes=2).sent
    assert load.readings == connections * 4 * 10
    assert sum(handler.seen.values()) == len(handler.seen) == load.readings
    assert (sent.accepted, sent.statuses) == (load.readings, {202: load.posts})
    assert handler.keys == {"Bearer secret"}
    assert 0 < sent.seconds < 60


@pytest.mark.parametrize("generator", GENERATORS)
def test_what_is_no_answer_of_ours_may_be_what_was_wanted(tmp_path: Path, generator: str) -> None:
    share = bodies.Share(SMALL, 0, 2, 10, 3, 1_700_000_000_000)
    load = build(tmp_path, lines.one_field, share, "nobody", lines.WRITE_PATH, taken=204)
    with serving(Silent) as (handler, port):
        sent = wrk.send(load, port) if generator == "wrk" else sender.send(load, port).sent
    assert sent.statuses == {204: load.posts}
    assert sum(len(body.splitlines()) for body in handler.seen) == load.readings


@pytest.mark.skipif(not wrk.is_installed(), reason="wrk is not installed")
def test_wrk_takes_no_other_answer_for_a_good_one(recorder: tuple[type[Recorder], int], tmp_path: Path) -> None:
    share = bodies.Share(SMALL, 0, 1, 10, 1, 1_700_000_000_000)
    with pytest.raises(LostReading, match="202"):
        wrk.send(build(tmp_path, bodies.one_metric, share, "secret", taken=204), recorder[1])


def test_a_refused_request_is_sent_again(recorder: tuple[type[Recorder], int], tmp_path: Path) -> None:
    handler, port = recorder
    handler.refusals.append(503)
    load = load_of(tmp_path, connections=2, posts=2)
    sent = sender.send(load, port).sent
    assert sent.statuses == {503: 1, 202: 4}
    assert len(handler.seen) == sent.accepted == load.readings


def test_paced_requests_leave_when_they_are_due(recorder: tuple[type[Recorder], int], tmp_path: Path) -> None:
    load = load_of(tmp_path, connections=2, posts=3)
    paces: list[sender.Pace] = []
    timed = sender.send(load, recorder[1], posts_per_second=20, starting=paces.append)
    (pace,) = paces
    for connection, sent_at in enumerate(timed.sent_at):
        for post, at in enumerate(sent_at):
            assert at >= pace.start + (post * 2 + connection) / 20

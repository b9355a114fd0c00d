"""Clients that take their time (slowloris) and thousands of idle connections, beside healthy ones, before the shipped proxy."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.behind_proxy import Edge
from tests.faults.load import Load, Outcome

__all__ = ["slow_clients"]

_IDLE = 5_000
_SLOW_OF_EACH = 200
#: Another address of this machine than the healthy ones have: what one address may do at a time is bounded.
_STRANGER = "127.0.0.2"
_P99_SECONDS = 1.0
#: Connections that the proxy may keep to web servers, however many clients it has.
_MOST_UPSTREAM = 400
_LARGE = "/static/dashboard/vendor/tabler.min.css"


def slow_clients(edge: Edge, seconds: int, seed: int) -> Outcome:
    """Healthy clients are served as before, and the web servers see nothing of the others."""
    key = edge.platform.provision(f"healthy-{seed}-{time.time_ns()}")
    with Load(edge, seed) as load, _Healthy(edge.port, key) as healthy:
        load.wait_for_accepted(30)
        with _attack(edge.port) as attack:
            healthy.seconds.clear()
            load.run_for(seconds)
            upstream = _connections_to(edge.ports.values())
            idle, slow = attack.idle_left(), 3 * _SLOW_OF_EACH
        outcome = load.finish()
    times = sorted(healthy.seconds)
    p99 = times[int(0.99 * (len(times) - 1))] if times else 0.0
    outcome.notes.append(
        f"{idle:,} idle and {slow} slow connections; {len(times):,} healthy requests, p99 {1000 * p99:.0f} ms, "
        f"{len(healthy.failed)} failed; {upstream} connections to web"
    )
    failed = {status: count for status, count in outcome.answers.items() if status not in (200, 202)}
    for wrong, what in (
        (failed, f"requests of the load failed (by status): {failed}"),
        (healthy.failed, f"healthy requests failed: {healthy.failed[:3]}"),
        (len(times) < 5 * seconds, f"only {len(times)} healthy requests in {seconds} s"),
        (p99 > _P99_SECONDS, f"99 % of the healthy requests took up to {p99:.2f} s"),
        (idle < _IDLE, f"of {_IDLE} idle connections {idle} were kept"),
        (upstream > _MOST_UPSTREAM, f"the proxy has {upstream} connections to the web servers"),
    ):
        if wrong:
            outcome.violations.append(what)
    return outcome


class _Healthy(threading.Thread):
    """Sends one reading after the other over a connection that is kept."""

    def __init__(self, port: int, key: str) -> None:
        super().__init__(name="healthy", daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._stopping = threading.Event()
        self.seconds: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._stopping.wait(0.02):
            number += 1
            body = json.dumps({"metrics": {"number": number}})
            began = time.monotonic()
            try:
                self._connection.request("POST", "/api/v1/readings", body, self._headers)
                answer = self._connection.getresponse()
                answer.read()
                if answer.status != 202:
                    self.failed.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self.failed.append(repr(error))
            self.seconds.append(time.monotonic() - began)

    def __enter__(self) -> _Healthy:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join(20)
        self._connection.close()


class _Attack(threading.Thread):
    """Opens all connections, then adds one byte a second to what the slow ones send."""

    def __init__(self, port: int) -> None:
        super().__init__(name="slow clients", daemon=True)
        self._port = port
        self._stopping = threading.Event()
        self._idle: list[socket.socket] = []
        self._deaf: list[socket.socket] = []
        self.slow: list[socket.socket] = []

    def open(self) -> None:
        greeting = b"GET /proxyz HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(_IDLE):
            each = self._connect(greeting)
            each.settimeout(10)
            assert each.recv(1024).startswith(b"HTTP/1.1 200")
            self._idle.append(each)
        post = b"POST /api/v1/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
        for _ in range(_SLOW_OF_EACH):
            self.slow.append(self._connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "))
            self.slow.append(self._connect(post))
            self._never_reads()

    def run(self) -> None:
        while not self._stopping.wait(1.0):
            for each in self.slow:
                with suppress(OSError):  # the proxy may have had enough of it
                    each.send(b" ")

    def idle_left(self) -> int:
        """How many of the idle ones the proxy still holds."""
        left = 0
        for each in self._idle:
            each.setblocking(False)
            try:
                left += each.recv(1) != b""
            except BlockingIOError:
                left += 1
            except OSError:
                continue
        return left

    def end(self) -> None:
        self._stopping.set()
        if self.is_alive():
            self.join(10)
        for each in [*self._idle, *self._deaf, *self.slow]:
            each.close()

    def _connect(self, first: bytes, buffer: int = 0) -> socket.socket:
        made = socket.socket()
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.bind((_STRANGER, 0))
        made.connect(("127.0.0.1", self._port))
        made.sendall(first)
        return made

    def _never_reads(self) -> None:
        self._deaf.append(self._connect(f"GET {_LARGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode(), 2048))


@contextmanager
def _attack(port: int) -> Iterator[_Attack]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _IDLE + 4 * _SLOW_OF_EACH + 500
    assert hard == resource.RLIM_INFINITY or hard >= needed, f"{needed} open files are needed, {hard} may be"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    attack = _Attack(port)
    try:
        attack.open()
        attack.start()
        yield attack
    finally:
        attack.end()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _connections_to(ports: Iterable[int]) -> int:
    """Established connections of this machine whose server end is one of the ports."""
    wanted = {f"{port:04X}" for port in ports}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].split(":")[1] in wanted and line.split()[3] == "01" for line in lines)

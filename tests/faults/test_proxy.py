"""The broken network itself: what the fault suite relies on."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import wait_until
from tests.faults.proxy import FaultProxy


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(b"did " + line)


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    """To a server on a Unix socket that answers each line with "did" and the line."""
    path = Path(tmp_path_factory.mktemp("p")) / "s"
    with socketserver.ThreadingUnixStreamServer(str(path), _Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with FaultProxy(path) as proxy:
            yield proxy
        server.shutdown()


def _connected(proxy: FaultProxy, seconds: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), seconds)


def _asked(client: socket.socket, what: bytes = b"work\n") -> bytes:
    client.sendall(what)
    return client.recv(100)


def test_it_passes_bytes_on_and_counts_them(proxy: FaultProxy) -> None:
    with _connected(proxy) as client:
        assert _asked(client) == b"did work\n"
    wait_until(lambda: proxy.passed == {"up": 5, "down": 9}, what="it counts what it has handed on, after that")


def test_a_cut_resets_what_is_there_and_what_comes_until_it_is_mended(proxy: FaultProxy) -> None:
    with _connected(proxy) as client:
        _asked(client)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionError), _connected(proxy) as client:
        _asked(client)
    proxy.pass_on()
    with _connected(proxy) as client:
        assert _asked(client) == b"did work\n"


def test_in_silence_not_even_the_kernel_answers_and_afterwards_all_that_was_sent_arrives(proxy: FaultProxy) -> None:
    with _connected(proxy) as client:
        _asked(client)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
        proxy.silence()
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            _asked(client, b"late\n")
        assert _unacknowledged(client) > 0
        with pytest.raises(TimeoutError):
            _connected(proxy, 0.2)
        proxy.pass_on()
        client.settimeout(10)
        assert client.recv(100) == b"did late\n"


def test_a_pulled_cable_is_found_by_the_clients_keepalive(proxy: FaultProxy) -> None:
    with _connected(proxy, 10) as client:
        _asked(client)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 1)):
            client.setsockopt(socket.IPPROTO_TCP, option, value)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        proxy.silence()
        with pytest.raises(OSError, match=r"\[Errno 110\]"):  # found by the kernel, not by the client's own patience
            client.recv(1)


def test_what_is_held_arrives_when_it_is_let_go_and_directions_are_held_apart(proxy: FaultProxy) -> None:
    with _connected(proxy, 0.2) as client:
        _asked(client)
        proxy.hold("down")
        with pytest.raises(TimeoutError):
            _asked(client)
        assert proxy.passed["up"] == 10, "the server did it"
        assert _unacknowledged(client) == 0, "the kernel answered"
        proxy.pass_on()
        client.settimeout(5)
        assert client.recv(100) == b"did work\n"


def test_forsaken_connections_stay_silent_and_new_ones_pass(proxy: FaultProxy) -> None:
    with _connected(proxy, 0.2) as client, _connected(proxy, 0.2) as other:
        _asked(client)
        _asked(other)
        proxy.forsake(answering=True)
        with _connected(proxy) as new:
            assert _asked(new) == b"did work\n"
        proxy.pass_on()
        with pytest.raises(TimeoutError):
            _asked(client)


def test_a_slow_network_takes_its_time(proxy: FaultProxy) -> None:
    with _connected(proxy) as client:
        _asked(client)
        proxy.slow(delay=0.05)
        began = time.monotonic()
        _asked(client)
        assert time.monotonic() - began >= 0.1, "both ways"
        proxy.slow(rate=50_000)
        began, received = time.monotonic(), 0
        client.sendall(b"x" * 9_999 + b"\n")
        while received < 10_004:
            received += len(client.recv(65_536))
        assert time.monotonic() - began >= 0.4


def test_an_answer_is_lost_though_the_server_did_what_was_asked(proxy: FaultProxy) -> None:
    with _connected(proxy) as client:
        proxy.lose_answer(b"work", b"did")
        assert _asked(client, b"rest\n") == b"did rest\n"
        with pytest.raises(ConnectionResetError):
            _asked(client)
    with _connected(proxy) as client:
        assert _asked(client) == b"did work\n", "only one answer was to be lost"
    assert proxy.answers_lost == 1


def _unacknowledged(client: socket.socket) -> int:
    """Packets sent and not acknowledged: tcpi_unacked of tcp(7), TCP_INFO."""
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[24:28], "little")

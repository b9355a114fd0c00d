"""The reverse proxy as it is shipped, run by a real nginx before web processes that a test plays."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iotplatform import env
from tests.faults.edge import START, Proxy, nginx
from tests.live import free_port

Headers = dict[str, str]


class Web(ThreadingHTTPServer):
    """Plays a web process: keeps what it was asked, and answers 200, or nothing at all where it is ``broken``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, Headers, bytes]] = []
        self.broken = False
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers.items()), body))
        if self.server.broken:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        if self.server.status == 503:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PATCH = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def web() -> Iterator[Web]:
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def webs() -> Iterator[list[Web]]:
    with web() as one, web() as other:
        yield [one, other]


@pytest.fixture(scope="module")
def running(folder: Path, webs: list[Web]) -> Iterator[Proxy]:
    with Proxy(folder / "plain", [each.server_port for each in webs], MAX_BODY_BYTES="100000") as proxy:
        yield proxy


@pytest.fixture
def proxy(running: Proxy, webs: list[Web]) -> Proxy:
    for each in webs:
        each.seen.clear()
        each.broken, each.status = False, 200
    return running


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Headers, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def seen(webs: list[Web]) -> list[tuple[str, str, Headers, bytes]]:
    return [request for each in webs for request in each.seen]


def test_what_a_stranger_says_of_himself_is_not_passed_on(proxy: Proxy, webs: list[Web]) -> None:
    ask(
        *(proxy.port, "/api/v1/devices?x=1"),
        X_Forwarded_For="6.6.6.6",
        X_Forwarded_Proto="https",
        Forwarded="for=6.6.6.6",
        X_Real_IP="6.6.6.6",
        X_Request_ID="trip-1",
    )
    ((_, path, headers, _),) = seen(webs)
    assert path == "/api/v1/devices?x=1"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Request-ID"] == "trip-1"
    assert headers["Host"] == f"127.0.0.1:{proxy.port}"
    assert "6.6.6.6" not in str(headers)


def test_a_balancer_that_was_named_is_believed(folder: Path, webs: list[Web], proxy: Proxy) -> None:
    with Proxy(folder / "behind", [webs[0].server_port], BALANCERS="127.0.0.0/8") as behind:
        ask(behind.port, "/", X_Forwarded_For="6.6.6.6, 203.0.113.9, 127.0.0.2", X_Forwarded_Proto="https")
    ((_, _, headers, _),) = seen(webs)
    assert (headers["X-Forwarded-For"], headers["X-Forwarded-Proto"]) == ("203.0.113.9", "https")


def test_readings_go_to_another_web_process_when_one_fails(proxy: Proxy, webs: list[Web]) -> None:
    webs[0].broken = True
    body = json.dumps({"metrics": {"temperature": 1.5}}).encode()
    for _ in range(6):
        assert ask(proxy.port, "/api/v1/readings?wait=5", "POST", body)[0] == 200
    assert webs[0].seen, "the broken one was never asked"
    assert [request[3] for request in webs[1].seen] == [body] * 6


def test_nothing_else_that_changes_something_is_sent_twice(proxy: Proxy, webs: list[Web]) -> None:
    for each in webs:
        each.broken = True
    for method, path in (("POST", "/api/v1/devices"), ("PATCH", "/api/v1/devices/pump-7")):
        status, headers, body = ask(proxy.port, path, method, b"{}", X_Request_ID="trip-2")
        assert (status, headers["retry-after"]) == (503, "2")
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-request-id"] == json.loads(body)["request_id"] == "trip-2"
        assert "nginx" not in f"{headers} {body!r}".replace("'server': 'nginx'", "")
    assert [request[0] for request in seen(webs)].count("POST") == 1
    assert [request[0] for request in seen(webs)].count("PATCH") == 1


def test_no_web_process_at_all_is_said_with_when_to_come_again(folder: Path) -> None:
    with Proxy(folder / "alone", [free_port(), free_port()]) as alone:
        for path in ("/", "/api/v1/devices"):
            status, headers, body = ask(alone.port, path)
            assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert (status, headers["retry-after"], json.loads(body)["status"]) == (503, "2", 503)
        assert ask(alone.port, "/proxyz")[0] == 200


def test_what_a_web_process_refuses_for_now_is_passed_on_once(proxy: Proxy, webs: list[Web]) -> None:
    for each in webs:
        each.status = 503
    status, headers, _ = ask(proxy.port, "/api/v1/readings", "POST", b"{}")
    assert (status, headers["retry-after"]) == (503, "7")
    assert len(seen(webs)) == 1


@pytest.mark.parametrize(
    "path", ["/metrics", "/readyz", "//metrics", "/x/../metrics", "/%6detrics", "/readyz?for=intake"]
)
def test_what_operators_ask_is_not_there_for_the_public(proxy: Proxy, webs: list[Web], path: str) -> None:
    status, headers, _ = ask(proxy.port, path)
    assert (status, headers["content-type"], seen(webs)) == (404, "application/problem+json", [])


def test_operators_that_were_named_may_ask(folder: Path, webs: list[Web], proxy: Proxy) -> None:
    with Proxy(folder / "inner", [webs[0].server_port], METRICS_NETWORKS="127.0.0.1") as inner:
        assert ask(inner.port, "/metrics")[0] == ask(inner.port, "/readyz")[0] == 200


def test_a_body_may_be_as_large_as_the_platform_takes_and_no_larger(proxy: Proxy, webs: list[Web]) -> None:
    assert ask(proxy.port, "/api/v1/readings", "POST", b"x" * 100_000)[0] == 200
    status, headers, _ = ask(proxy.port, "/api/v1/readings", "POST", b"x" * 100_001)
    assert (status, headers["content-type"], len(seen(webs))) == (413, "application/problem+json", 1)
    assert f"MAX_BODY_BYTES:-{env.load(environ={}).max_body_bytes}" in START.read_text()


def test_a_web_process_gets_a_request_once_it_is_whole(proxy: Proxy, webs: list[Web]) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as slow:
        slow.sendall(b"POST /api/v1/readings HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        assert ask(proxy.port, "/healthz")[0] == 200  # the proxy has read on by then
        assert [request[1] for request in seen(webs)] == ["/healthz"]
        slow.sendall(b"67890")
        slow.settimeout(20)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    assert b"1234567890" in [request[3] for request in seen(webs)]


def test_files_of_the_machine_are_out_of_reach(proxy: Proxy) -> None:
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd"):
        assert b"root:" not in ask(proxy.port, path)[2]


def test_with_certificates_everything_is_tls(folder: Path, webs: list[Web], proxy: Proxy) -> None:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=iot.test"
    names = ["-addext", "subjectAltName=DNS:iot.test", "-keyout", key, "-out", certificate]
    subprocess.run(["openssl", *make.split(), *names], check=True, capture_output=True)
    port = free_port()
    tls = {"CERTIFICATE_PATH": str(certificate), "KEY_PATH": str(key), "LISTEN_TLS": f"127.0.0.1:{port}"}
    with Proxy(folder / "tls", [webs[0].server_port], **tls) as secure:
        status, headers, _ = ask(secure.port, "/api/v1/readings?wait=5", "POST", b"{}", Host="iot.test")
        assert (status, headers["location"]) == (308, "https://iot.test/api/v1/readings?wait=5")
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert talk(port, trusting) == "TLSv1.3"
        old = ssl.create_default_context(cafile=str(certificate))
        old.set_ciphers("DEFAULT:@SECLEVEL=0")  # this end would speak it
        with pytest.warns(DeprecationWarning):
            old.maximum_version = old.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk(port, old)
    assert seen(webs)[-1][2]["X-Forwarded-Proto"] == "https"


def talk(port: int, context: ssl.SSLContext) -> str | None:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="iot.test") as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: iot.test\r\nConnection: close\r\n\r\n")
        assert secure.recv(100).startswith(b"HTTP/1.1 200")
        return secure.version()


@pytest.mark.parametrize(
    "wrong",
    [
        {"UPSTREAMS": "web:8000; } evil {"},
        {"MAX_BODY_BYTES": "8m"},
        {"BALANCERS": "10.0.0.0/8;"},
        {"CERTIFICATE_PATH": __file__, "KEY_PATH": "/nowhere"},
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(folder: Path, wrong: dict[str, str]) -> None:
    environment = os.environ | {"NGINX": nginx(), "NGINX_DIR": str(folder / "wrong")} | wrong
    done = subprocess.run([START, "--test"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert next(iter(wrong)) in done.stderr

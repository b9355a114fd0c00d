"""Messages go out to the public internet, and nowhere else: SSRF, DNS rebinding, redirects, and receivers that drip."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.channels.failures import EgressRefused, TemporaryFailure
from alerts.channels.push import SERVICES
from alerts.egress import check_address, check_url, post
from tests.alerts.receivers import WebServer


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(EgressRefused, match="ALERT_EGRESS_ALLOW"):
        check_address(address, ())


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    check_address(address, ())


def test_an_administrator_may_allow_a_network(configure: Any) -> None:
    configure(alert_egress_allow="10.1.0.0/16, fd00::/8")
    from alerts.egress import allowed_networks

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7"):
        check_address(address, allowed_networks())
    for address in ("10.2.0.1", "127.0.0.1", "fe80::1"):
        with pytest.raises(EgressRefused):
            check_address(address, allowed_networks())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "http"),
        ("gopher://example.org/", "http"),
        ("ftp://example.org/", "http"),
        ("//example.org/", "http"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("http://user@example.org/", "user and password"),
        ("http://example.org:22/", "Port 22"),
        ("http://example.org:6379x/", "not a URL"),
        ("http://example.org:0/", "Port 0"),
        ("http://exam ple.org/", "no spaces"),
        ("http://example.org/a\r\nX-Injected: 1", "no spaces"),
        ("http://example.org/ä", "Percent-encode"),
        ("http://127.0.0.1/", "ALERT_EGRESS_ALLOW"),
        ("http://[::1]/", "ALERT_EGRESS_ALLOW"),
        ("http://[::ffff:7f00:1]:8000/", "ALERT_EGRESS_ALLOW"),
    ],
)
def test_urls_that_may_not_be_sent_to_say_why(url: str, why: str) -> None:
    with pytest.raises(EgressRefused, match=why):
        check_url(url)


class Names:
    """A name server of the test's: each question is answered by the next answer, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def send(url: str, names: Names, timeout: float = 5, **options: Any) -> Any:
    return post(url, b"{}", {"Content-Type": "application/json"}, timeout, names, **options)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "localtest.me"])
def test_other_spellings_of_loopback_are_refused_once_resolved(spelling: str) -> None:
    def system(host: str, port: int) -> list[str]:
        if host == "localtest.me":
            return ["127.0.0.1"]
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

    with pytest.raises(EgressRefused):
        post(f"http://{spelling}:8000/", b"", {}, 5, system)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(EgressRefused, match=r"10\.0\.0\.1"):
        send("http://mixed.example.org/", Names(["1.1.1.1", "10.0.0.1"]))


def test_a_name_that_answers_differently_the_second_time_gains_nothing(configure: Any, receiver: WebServer) -> None:
    """DNS rebinding: what was checked is what is connected to, and the name is asked once."""
    configure(alert_egress_allow="127.0.0.2/32")
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    with pytest.raises(TemporaryFailure, match="could not be reached"):
        # Nothing listens on 127.0.0.2, the receiver does on 127.0.0.1: had it been asked again, it would be reached.
        send(f"http://rebind.example.org:{receiver.port}/", names)
    assert names.asked == 1
    assert receiver.received == []


def test_the_host_header_stays_that_of_the_name(receiver: WebServer) -> None:
    answer = send(f"http://hooks.example.org:{receiver.port}/in?x=1", Names(["127.0.0.1"]))
    assert answer.status == 200
    assert receiver.received[0].headers["host"] == f"hooks.example.org:{receiver.port}"
    assert receiver.received[0].path == "/in?x=1"


def test_a_second_address_is_tried_where_the_first_takes_no_connection(receiver: WebServer) -> None:
    assert send(f"http://two.example.org:{receiver.port}/", Names(["127.0.0.9", "127.0.0.1"])).status == 200


def test_redirects_are_not_followed(receiver: WebServer) -> None:
    receiver.replies = [(302, {"Location": f"http://127.0.0.1:{receiver.port}/inside"})]
    assert send(f"http://hooks.example.org:{receiver.port}/", Names(["127.0.0.1"])).status == 302
    assert len(receiver.received) == 1


def test_a_proxy_of_the_environment_is_not_used(receiver: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    assert send(f"http://hooks.example.org:{receiver.port}/", Names(["127.0.0.1"])).status == 200


def test_a_name_that_does_not_resolve_is_tried_again_later() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TemporaryFailure, match="cannot be resolved"):
        post("http://gone.example.org/", b"", {}, 5, nobody)


def test_a_name_server_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        release.wait(20)
        return ["1.1.1.1"]

    begin = time.monotonic()
    with pytest.raises(TemporaryFailure, match="not resolved in time"):
        post("http://slow.example.org/", b"", {}, 0.5, hanging)
    release.set()
    assert time.monotonic() - begin < 3


@pytest.fixture
def dripping(loopback_allowed: None) -> Iterator[int]:
    """A server that sends a byte of its answer now and then, for ever: each one resets a socket's own timeout."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.wait(0.1):
                    connection.sendall(b"a")
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    over.set()
    server.close()
    thread.join(5)


def test_a_receiver_that_drips_is_cut_off_at_the_deadline(dripping: int) -> None:
    begin = time.monotonic()
    with pytest.raises(TemporaryFailure, match="did not answer within 1 s"):
        send(f"http://drip.example.org:{dripping}/", Names(["127.0.0.1"]), timeout=1)
    assert time.monotonic() - begin < 4


@pytest.fixture
def tls_server(loopback_allowed: None, tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext, list[str | None]]]:
    """(port, what trusts its certificate for hooks.example.org, the names that clients asked for)."""
    certificate = _certificate(tmp_path, "hooks.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                plain, _ = server.accept()
            except TimeoutError:
                continue
            try:
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as connection:
                    sent = b""
                    while not sent.endswith(b"{}"):
                        sent += connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], ssl.create_default_context(cafile=str(certificate)), asked
    over.set()
    thread.join(5)
    server.close()


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def test_the_certificate_is_checked_against_the_name_not_the_address(
    tls_server: tuple[int, ssl.SSLContext, list[str | None]],
) -> None:
    port, trusting, asked = tls_server
    names = Names(["127.0.0.1"])
    assert send(f"https://hooks.example.org:{port}/", names, context=trusting).status == 204
    assert asked == ["hooks.example.org"]
    with pytest.raises(TemporaryFailure, match=r"certificate of other\.example\.org is not valid"):
        send(f"https://other.example.org:{port}/", names, context=trusting)
    with pytest.raises(TemporaryFailure, match=r"certificate of hooks\.example\.org is not valid"):
        send(f"https://hooks.example.org:{port}/", names)


URLS = {
    "bulksms": "bulksms://user:pw@15557654321",
    "clicksend": "clicksend://user:pw@15557654321",
    "discord": f"discord://{'1' * 18}/{'a' * 68}",
    "msgbird": f"msgbird://{'a' * 25}/15551234567/15557654321",
    "pagerduty": f"pagerduty://{'a' * 32}@{'b' * 20}",
    "pbul": f"pbul://{'a' * 32}",
    "plivo": f"plivo://{'a' * 25}@{'b' * 40}/15551234567/15557654321",
    "pover": f"pover://{'u' * 30}@{'t' * 30}",
    "seven": f"seven://{'a' * 25}/15557654321",
    "signl4": "signl4://secret123",
    "tgram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "threema": "threema://*ABCDEFG@secret/+15557654321",
    "twilio": f"twilio://AC{'a' * 32}:{'b' * 32}@15551234567/15557654321",
    "vonage": f"vonage://abcdefgh:{'a' * 16}@15551234567/15557654321",
}


@pytest.mark.parametrize("scheme", sorted(SERVICES))
@pytest.mark.parametrize("extra", ["", "?redirect=yes&verify=no&rto=60"])
def test_push_services_ask_their_own_host_and_follow_no_redirect(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Apprise would send is caught at the last step before the network."""
    import requests

    from alerts.channels import KINDS, Outgoing
    from alerts.channels.push import _service
    from alerts.content import compose_test

    sent: list[tuple[str, bool, bool]] = []

    def caught(self: Any, request: Any, **options: Any) -> Any:
        sent.append((request.url, options["verify"], options["allow_redirects"]))
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = 401, request.url, request
        answer._content = b"{}"
        return answer

    monkeypatch.setattr(requests.Session, "send", caught)
    monkeypatch.setattr("alerts.egress.system_resolver", lambda host, port: ["1.1.1.1"])
    kind = KINDS["push"]
    settings = {"url": URLS[scheme] + extra}
    kind.check(settings)
    service = _service(settings["url"])
    assert (service.redirects, service.verify_certificate) == (False, True)
    with pytest.raises(Exception, match="401") as failure:
        kind.send(settings, Outgoing("key", compose_test("phone", "boss")))
    assert type(failure.value).__name__ == "PermanentFailure"
    assert settings["url"] not in str(failure.value)
    assert sent
    for url, verify, redirects in sent:
        assert url.startswith(f"https://{SERVICES[scheme][1]}/"), url
        assert verify
        assert not redirects


def test_a_push_service_whose_name_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.channels import KINDS, Outgoing
    from alerts.content import compose_test

    monkeypatch.setattr("alerts.egress.system_resolver", lambda host, port: ["10.0.0.1"])
    with pytest.raises(EgressRefused):
        KINDS["push"].send({"url": URLS["signl4"]}, Outgoing("key", compose_test("phone", "boss")))

"""The one way out for HTTP: a URL that somebody typed in may not lead to the platform's own network (SSRF).

A name is resolved once; every address it has must be a public one (or lie in ALERT_EGRESS_ALLOW), and the connection
goes to that very address, so that a name which answers differently the second time gains nothing. Host header, SNI and
certificate stay those of the name. Redirects are not followed, proxies of the environment not used. The whole exchange,
resolving included, is bounded by one deadline.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from alerts.channels.failures import EgressRefused, TemporaryFailure

__all__ = [
    "Answer",
    "Resolver",
    "allowed_networks",
    "check_address",
    "check_host",
    "check_url",
    "post",
    "system_resolver",
]

_MAX_ANSWER = 64 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: Below it live services that speak other protocols; HTTP itself apart, none of them is ours to talk to.
_FIRST_FREE_PORT = 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Name and port → addresses. Raises OSError.
Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Header names are in lower case; of the body at most 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def system_resolver(host: str, port: int) -> list[str]:
    """What the system's own resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def allowed_networks() -> tuple[Network, ...]:
    """Those that the administrator allows beyond the public internet."""
    text = settings.PLATFORM.alert_egress_allow
    return tuple(ipaddress.ip_network(each.strip(), strict=False) for each in text.split(",") if each.strip())


def check_url(url: str) -> SplitResult:
    """The URL's parts. Raises EgressRefused with what to do, as far as that can be told without resolving its name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise EgressRefused(f"This is not a URL: {error}.") from error
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise EgressRefused("A URL has no spaces and no control characters.")
    if not (parts.path + parts.query).isascii():
        raise EgressRefused("Percent-encode what is not ASCII in the URL's path and query.")
    if parts.scheme not in _DEFAULT_PORTS:
        raise EgressRefused("Only http:// and https:// URLs can be sent to.")
    if not parts.hostname:
        raise EgressRefused("The URL names no host, for example https://hooks.example.org/alerts.")
    if parts.username is not None or parts.password is not None:
        raise EgressRefused("Leave the user and password out of the URL.")
    literal = _literal(parts.hostname)
    if literal is not None:
        check_address(literal, allowed_networks())
    if port is not None and port < _FIRST_FREE_PORT and port not in _DEFAULT_PORTS.values():
        raise EgressRefused(f"Port {port} may not be sent to; use 80, 443 or one from {_FIRST_FREE_PORT} up.")
    return parts


def check_address(text: str, allow: tuple[Network, ...]) -> Address:
    """The address, where messages may be sent to it. Raises EgressRefused."""
    address = ipaddress.ip_address(text.partition("%")[0])
    embedded = _embedded(address)
    if any(each.version == network.version and each in network for each in (address, embedded) for network in allow):
        return address
    if not (_public(address) and _public(embedded)):
        raise EgressRefused(
            f"{address} is not a public address; an administrator may allow its network with ALERT_EGRESS_ALLOW."
        )
    return address


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float,
    resolver: Resolver | None = None,
    context: ssl.SSLContext | None = None,
) -> Answer:
    """POST to a URL within ``timeout`` seconds. Raises EgressRefused, and TemporaryFailure where no answer comes.

    ``resolver`` and ``context`` are for tests: their own names, their own certificates.
    """
    parts = check_url(url)
    deadline = time.monotonic() + timeout
    host, port = str(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]
    addresses = _resolve(host, port, resolver or system_resolver, deadline)
    tls = (context or ssl.create_default_context()) if parts.scheme == "https" else None
    connection = _CheckedConnection(host, port, addresses, deadline, tls)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, {"User-Agent": "iot-telemetry-platform", **headers})
        answer = connection.getresponse()
        received = answer.read(_MAX_ANSWER)
        if connection.cut:
            raise TimeoutError  # headers and bodies that end early look whole to http.client
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, received)
    except ssl.SSLCertVerificationError as error:
        raise TemporaryFailure(f"The certificate of {host} is not valid: {error.verify_message}.") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if connection.cut or time.monotonic() >= deadline - 0.01:
            raise TemporaryFailure(f"{host} did not answer within {timeout:g} s.") from error
        raise TemporaryFailure(f"{host} could not be reached: {_words(error)}.") from error
    finally:
        connection.end()


def check_host(host: str, port: int, timeout: float, resolver: Resolver | None = None) -> list[str]:
    """The addresses of a name, where messages may be sent to all of them. Raises as `post` does."""
    return _resolve(host, port, resolver or system_resolver, time.monotonic() + timeout)


class _CheckedConnection(http.client.HTTPConnection):
    """Goes to one of the addresses that were checked, whatever its host's name says by now; ends at a deadline, however slowly
    the receiver drips."""

    def __init__(self, host: str, port: int, addresses: list[str], deadline: float, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port)
        # http.client leaves a port out of the Host header where it is the scheme's own.
        self.default_port = 443 if tls else 80
        self._addresses, self._deadline, self._tls = addresses, deadline, tls
        self._watchdog: threading.Timer | None = None
        #: The deadline ended the exchange.
        self.cut = False

    def connect(self) -> None:
        sock: Any = self._connected()
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = sock
        self._watchdog = threading.Timer(max(0.05, self._deadline - time.monotonic()), self._shut, [sock])
        self._watchdog.daemon = True
        self._watchdog.start()
        if self._tls is not None:
            sock.do_handshake()

    def _connected(self) -> socket.socket:
        """A connection to the first address that takes one."""
        for number, address in enumerate(self._addresses, start=1):
            left = max(0.05, self._deadline - time.monotonic())
            last = number == len(self._addresses)
            try:
                sock = socket.create_connection((address, self.port), timeout=left if last else left / 2)
            except OSError:
                if last:
                    raise
                continue
            sock.settimeout(max(0.05, self._deadline - time.monotonic()))
            return sock
        raise OSError("no address")

    def _shut(self, sock: socket.socket) -> None:
        self.cut = True
        try:
            # Past the TLS layer, which may be in the middle of a read.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return  # closed already: what it should have been

    def end(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        self.close()


def _resolve(host: str, port: int, resolver: Resolver, deadline: float) -> list[str]:
    """The addresses of a name, all of them checked. The system's resolver knows no deadline, so it gets a thread."""
    found: list[list[str]] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            found.append(resolver(host, port))
        except (OSError, UnicodeError) as error:
            failed.append(OSError(str(error)))

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(max(0.05, deadline - time.monotonic()))
    if failed:
        raise TemporaryFailure(f"The name {host} cannot be resolved: {_words(failed[0])}.")
    if not found or not found[0]:
        raise TemporaryFailure(f"The name {host} was not resolved in time.")
    allow = allowed_networks()
    for address in found[0]:
        check_address(address, allow)
    return found[0]


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64); else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    # IPv4-compatible addresses, ::127.0.0.1, are long gone, but some systems still route them.
    return ipaddress.IPv4Address(int(address)) if 0xFFFF < int(address) <= 0xFFFFFFFF else address


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address in _NAT64:
            return True  # what counts is the address inside
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")

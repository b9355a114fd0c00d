"""Where an S3-compatible store may be: the public internet by HTTPS, else only in networks that EXPORT_S3_ALLOW names.

The endpoint is an operator's setting, not a visitor's: a name is looked up and judged before each use, so that a mistake or
a name that turns inwards is told in words and not by what answers there.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from telemetry.exports.failures import ExportFailure, ExportRefused

__all__ = ["Resolver", "check_endpoint", "system_resolver"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Name and port → addresses. Raises OSError.
Resolver = Callable[[str, int], list[str]]


def system_resolver(host: str, port: int) -> list[str]:
    """What the system's own resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_endpoint(url: str, allow: str, resolver: Resolver = system_resolver) -> None:
    """`allow`: networks with commas between them. Raises ExportRefused where it may not be spoken to, ExportFailure where
    its name is not known just now."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as error:
        raise ExportFailure(f"The name of the store, {host}, cannot be resolved: {error}.") from error
    networks = [ipaddress.ip_network(each.strip(), strict=False) for each in allow.split(",") if each.strip()]
    for text in addresses:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
        if any(address.version == network.version and address in network for network in networks):
            continue
        if not address.is_global or address.is_multicast:
            raise ExportRefused(
                f"The store {host} has the address {address}, which is not a public one: an administrator may allow its "
                "network with EXPORT_S3_ALLOW."
            )
        if parts.scheme != "https":
            raise ExportRefused(f"The store {host} is on the internet: EXPORT_S3_ENDPOINT must begin with https://.")


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address

"""A platform whose processes reach each server by a network of their own, which can be broken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.proxy import FaultProxy
from tests.live import LivePlatform

__all__ = ["KINDS", "SERVERS", "Wires", "platform_with_wires", "wire_to_database"]

SERVERS = ("postgres", "log", "cache")
#: By kind, the processes that share a way to a server.
KINDS: Mapping[str, tuple[str, ...]] = {
    "web": ("web",),
    "drains": ("drain1", "drain2"),
    "worker": ("worker", "beat"),
}


class Wires:
    """A FaultProxy from every kind of process to every server."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._proxies: dict[tuple[str, str], FaultProxy] = {}

    def between(self, kind: str, server: str) -> FaultProxy:
        return self._proxies[kind, server]

    def all_to(self, server: str) -> list[FaultProxy]:
        return [proxy for (_, name), proxy in self._proxies.items() if name == server]

    def lay(self, platform: LivePlatform) -> dict[str, dict[str, str]]:
        """As LivePlatform's ``wire``."""
        sockets = {
            "postgres": Path(platform.database_url.partition("?host=")[2]) / ".s.PGSQL.5432",
            "log": _path(platform.servers.redis_url),
            "cache": _path(platform.servers.cache_url),
        }
        environments: dict[str, dict[str, str]] = {}
        for kind, names in KINDS.items():
            ports = {}
            for server in SERVERS:
                proxy = self._stack.enter_context(FaultProxy(sockets[server]))
                self._proxies[kind, server], ports[server] = proxy, proxy.port
            for name in names:
                environments[name] = {
                    "DATABASE_URL": f"postgresql://iot@127.0.0.1:{ports['postgres']}/iot?sslmode=disable&gssencmode=disable",
                    "REDIS_URL": f"redis://127.0.0.1:{ports['log']}/0",
                    "CACHE_URL": f"redis://127.0.0.1:{ports['cache']}/0",
                }
        return environments


@contextmanager
def platform_with_wires(run_dir: Path) -> Iterator[tuple[LivePlatform, Wires]]:
    """The whole platform, and the networks within it."""
    with contextlib.ExitStack() as stack:
        wires = Wires(stack)
        platform = stack.enter_context(LivePlatform(run_dir, wire=wires.lay))
        yield platform, wires


@contextmanager
def wire_to_database(parameters: Mapping[str, Any]) -> Iterator[tuple[FaultProxy, dict[str, Any]]]:
    """A network to the server that these connection parameters are of, and the parameters of a way through it."""
    host, port = str(parameters.get("host") or "127.0.0.1"), int(parameters.get("port") or 5432)
    with FaultProxy(Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else port) as proxy:
        yield (
            proxy,
            {**parameters, "host": "127.0.0.1", "port": proxy.port, "sslmode": "disable", "gssencmode": "disable"},
        )


def _path(url: str) -> Path:
    """Of a URL such as unix:///run/log.sock?db=0."""
    return Path(url.removeprefix("unix://").partition("?")[0])

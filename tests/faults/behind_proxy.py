"""Two web servers behind the reverse proxy that we ship, made anew one after the other with no failed request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from iotplatform.launcher import processes
from tests.faults.edge import Proxy
from tests.faults.load import Load, Outcome
from tests.live import LivePlatform, free_port

__all__ = ["Edge", "platform_behind_proxy", "rolling_restart"]

_WEBS = ("web", "web2")
_WORKERS = ("drain1", "drain2", "worker")
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Edge:
    """The platform as it is reached from outside."""

    platform: LivePlatform
    proxy: Proxy
    #: Of each web server, where it listens.
    ports: dict[str, int]

    @property
    def port(self) -> int:
        return self.proxy.port

    @property
    def database_url(self) -> str:
        return self.platform.database_url

    def manage(self, *arguments: str) -> str:
        return self.platform.manage(*arguments)

    def start(self, name: str) -> None:
        """Start a web server (one that runs is stopped first); returns when it takes readings, as a readiness gate does."""
        self.platform.restart(name)

        def takes_readings() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{self.ports[name]}/readyz?for=intake", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        self.platform.wait_until(takes_readings, _READY_SECONDS, f"{name} takes readings")

    def wait_for_proxy(self, name: str, since: int) -> None:
        """Until the proxy has had an answer of that web server, in what it printed since: for `fail_timeout` (1 s) after it
        was refused there it asks the others only, and who stops those sooner leaves nobody."""
        answered = re.compile(rf'"upstream":"[^"]*:{self.ports[name]}","upstream_status":"[^"]*20\d"')
        self.platform.wait_until(
            lambda: answered.search(self.proxy.log()[since:]), _READY_SECONDS, f"the proxy uses {name} again"
        )


@contextmanager
def platform_behind_proxy(run_dir: Path) -> Iterator[Edge]:
    """Made in a folder that does not exist yet."""
    other = free_port()
    with LivePlatform(run_dir, TRUSTED_PROXIES="127.0.0.0/8") as platform:
        command = processes.web(replace(platform.config, port=other))
        environment = {**command.environment, "PROCESS_NAME": "web2"}
        platform.add(replace(command, name="web2", environment=environment))
        ports = {"web": platform.port, "web2": other}
        with Proxy(run_dir.with_name(f"{run_dir.name}-nginx"), list(ports.values())) as proxy:
            edge = Edge(platform, proxy, ports)
            edge.start("web2")
            yield edge


def rolling_restart(edge: Edge, rounds: int, seed: int) -> Outcome:
    """In turn each web server and each worker is stopped by SIGTERM and started again."""
    with Load(edge, seed) as load:
        for _ in range(rounds):
            for name in _WEBS:
                load.wait_for_accepted(30)
                edge.platform.stop(name)
                load.wait_for_accepted(20)
                said = len(edge.proxy.log())
                edge.start(name)
                edge.wait_for_proxy(name, said)
            for name in _WORKERS:
                load.wait_for_accepted(10)
                edge.platform.restart(name)
        load.wait_for_accepted(50)
        outcome = load.finish()
    failed = {status: count for status, count in outcome.answers.items() if status not in (200, 202)}
    if failed:
        lines = [line for line in edge.proxy.log().splitlines() if '"status":20' not in line]
        said = [f"{count} × {why}" for why, count in load.ledger.refusals.most_common(5)]
        outcome.violations.append("\n".join([f"requests failed (by status): {failed}", *said, *lines[:5], *lines[-5:]]))
    outcome.notes.append(f"{outcome.answers.total():,} requests through the proxy, {sum(failed.values())} failed")
    return outcome

"""Every scenario of `make soak`: its name, what is done, how often (or for how long), and on which kind of platform.

A new one is one line in SCENARIOS. Neighbours of the same kind share one platform, so keep them together.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import (
    alert_kills,
    behind_proxy,
    clock,
    deadly,
    kills,
    network,
    outages,
    poison,
    replaced,
    servers_busy,
    servers_full,
    slow_clients,
    stops,
    terms,
    two_beats,
)
from tests.faults.load import Outcome
from tests.faults.wires import platform_with_wires
from tests.live import LivePlatform

__all__ = ["PLATFORMS", "SCENARIOS", "Scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``run(platform, amount, seed)``, with what the platform's kind gives; ``amount`` counts rounds or seconds."""

    name: str
    run: Callable[[Any, int, int], Outcome]
    amount: int = 1
    #: Whether ``amount`` is the seconds of one round.
    seconds: bool = False
    #: A key of PLATFORMS.
    platform: str = "live"


#: By kind, what is made in a folder (that does not exist yet) for scenarios of that kind, and taken away after them.
PLATFORMS: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "live": LivePlatform,
    "clock": clock.platform_with_clock,
    "deadly": deadly.platform_that_dies,
    "edge": behind_proxy.platform_behind_proxy,
    "alerts": alert_kills.platform_with_receiver,
    "wires": platform_with_wires,
    "keeps little": servers_full.platform_that_keeps_little,
    # The scenario makes its own platform in the folder.
    "folder": nullcontext,
}

SCENARIOS = (
    Scenario("kill_drains", kills.kill_drains, 20),
    Scenario("kill_log", kills.kill_log, 5),
    Scenario("kill_database", kills.kill_database, 5),
    Scenario("kill_web", kills.kill_web, 5),
    Scenario("kill_background", kills.kill_background, 6),
    Scenario("kill_everything", kills.kill_everything, 3),
    Scenario("terminate", terms.terminate, 10),
    Scenario("rubbish_tasks", deadly.rubbish_tasks, 3),
    Scenario("poison_entries", poison.poison_entries, 3),
    Scenario("database_away", outages.database_away, 30, seconds=True),
    Scenario("log_away", outages.log_away, 15, seconds=True),
    Scenario("database_hangs", outages.database_hangs, 15, seconds=True),
    Scenario("log_hangs", outages.log_hangs, 15, seconds=True),
    Scenario("log_emptied", replaced.log_emptied, 4),
    Scenario("log_set_back", replaced.log_set_back, 4),
    Scenario("database_set_back", replaced.database_set_back, 4),
    Scenario("log_restarted", servers_busy.log_restarted, 2),
    Scenario("database_restarted", servers_busy.database_restarted, 2),
    Scenario("cache_away", servers_busy.cache_away, 5, seconds=True),
    Scenario("tables_locked", servers_busy.tables_locked, 8, seconds=True),
    Scenario("connections_exhausted", servers_busy.connections_exhausted, 8, seconds=True),
    Scenario("log_memory_full", servers_full.log_memory_full, 2, platform="keeps little"),
    Scenario("log_disk_full", servers_full.log_disk_full, 1, platform="folder"),
    Scenario("database_disk_full", servers_full.database_disk_full, 1, platform="folder"),
    Scenario("network_cut", network.network_cut, 9, platform="wires"),
    Scenario("network_silent", network.network_silent, 6, platform="wires"),
    Scenario("network_held", network.network_held, 6, platform="wires"),
    Scenario("network_slow", network.network_slow, 20, seconds=True, platform="wires"),
    Scenario("network_forgets", network.network_forgets, 2, platform="wires"),
    Scenario("commit_in_doubt", network.commit_in_doubt, 5, platform="wires"),
    Scenario("deadly_entries", deadly.deadly_entries, 1, platform="deadly"),
    Scenario("rolling_restart", behind_proxy.rolling_restart, 2, platform="edge"),
    Scenario("slow_clients", slow_clients.slow_clients, 20, seconds=True, platform="edge"),
    Scenario("clock", lambda given, _, seed: clock.clock_back_and_forth(*given, seed), platform="clock"),
    Scenario("clock_jumps", lambda given, rounds, seed: clock.clock_jumps(*given, rounds, seed), 4, platform="clock"),
    Scenario("stops", stops.stop_and_kill, 6, platform="folder"),
    Scenario("kill_launcher", stops.kill_launcher, 3, platform="folder"),
    Scenario(
        "alerts",
        lambda given, rounds, seed: alert_kills.kill_while_alerting(*given, rounds, seed),
        20,
        platform="alerts",
    ),
    Scenario(
        "two_beats",
        lambda given, rounds, seed: two_beats.two_beats(*given, rounds, seed),
        2,
        platform="alerts",
    ),
)

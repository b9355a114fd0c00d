"""The network between processes and servers: cut, silent, held, slow; connections forgotten, answers lost."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.faults.load import Load, Outcome
from tests.faults.proxy import FaultProxy
from tests.faults.wires import KINDS, SERVERS, Wires
from tests.live import LivePlatform

__all__ = [
    "commit_in_doubt",
    "network_cut",
    "network_forgets",
    "network_held",
    "network_silent",
    "network_slow",
]

Wired = tuple[LivePlatform, Wires]

#: All pairs of who and whom; the last three do next to nothing with the cache.
PAIRS = tuple((kind, server) for server in SERVERS for kind in KINDS)
_CUT_SECONDS = 3.0
_SILENT_SECONDS = 12.0  # longer than keepalives, and than anybody's patience
_WELL_SECONDS = 20.0
#: A session in the middle of a transaction whose client is gone is ended by then, and so is a statement.
_FORGOTTEN_SECONDS = 45.0
_DELAY_SECONDS = 0.1
_BYTES_A_SECOND = 50_000


def network_cut(given: Wired, pairs: int, seed: int) -> Outcome:
    """Every connection between two is reset for some seconds, for each pair in turn."""
    return _break(given, PAIRS[:pairs], seed, FaultProxy.cut, _CUT_SECONDS, "cut")


def network_silent(given: Wired, pairs: int, seed: int) -> Outcome:
    """No packet passes between two, nor an answer of their kernels."""
    return _break(given, PAIRS[:pairs], seed, FaultProxy.silence, _SILENT_SECONDS, "silent")


def network_held(given: Wired, pairs: int, seed: int) -> Outcome:
    """What stands between two takes everything and passes nothing on: no keepalive finds that out."""
    return _break(given, PAIRS[:pairs], seed, FaultProxy.hold, _SILENT_SECONDS, "held")


def network_slow(given: Wired, seconds: int, seed: int) -> Outcome:
    """All networks to the database and the log: 100 ms more for every packet, then 50 kB/s."""
    platform, wires = given
    proxies = wires.all_to("postgres") + wires.all_to("log")
    with Load(platform, seed) as load:
        load.wait_for_accepted(30)
        try:
            for how in ({"delay": _DELAY_SECONDS}, {"rate": float(_BYTES_A_SECOND)}):
                for proxy in proxies:
                    proxy.slow(**how)
                accepted = load.ledger.accepted
                load.run_for(seconds / 2)
                if load.ledger.accepted == accepted:
                    load.ledger.broken(f"nothing was accepted in {seconds / 2:.0f} s of {how}")
        finally:
            _mend(proxies)
        load.recovers_within(_WELL_SECONDS, "the network is fast again")
        return load.finish()


def network_forgets(given: Wired, rounds: int, seed: int) -> Outcome:
    """Connections that are there are silent for good, new ones pass: nobody may wait for the old ones for ever."""
    platform, wires = given
    with Load(platform, seed) as load:
        for number in range(rounds):
            load.wait_for_accepted(30, 2 * _FORGOTTEN_SECONDS)
            # In every second round kernels answer: only one's own patience finds out.
            answering = bool(number % 2)
            for server in ("postgres", "log"):
                for proxy in wires.all_to(server):
                    proxy.forsake(answering=answering)
            load.recovers_within(_FORGOTTEN_SECONDS, f"connections forgotten, {answering=}")
        _nobody_holds_a_shard(platform, load)
        return load.finish()


def commit_in_doubt(given: Wired, rounds: int, seed: int) -> Outcome:
    """The database did COMMIT and the answer is lost, of drains and of web."""
    platform, wires = given
    chance = random.Random(seed)
    with Load(platform, seed) as load:
        for _ in range(rounds):
            load.wait_for_accepted(chance.randint(2, 20))
            proxy = wires.between("drains", "postgres")
            lost = proxy.answers_lost
            proxy.lose_answer(b"COMMIT", b"COMMIT")
            load.ledger.wait_for(lambda proxy=proxy, lost=lost: proxy.answers_lost > lost, 20, "a COMMIT in doubt")
            load.recovers_within(_WELL_SECONDS, "a COMMIT in doubt")
        _mend([proxy])
        return load.finish()


def _break(
    given: Wired,
    pairs: tuple[tuple[str, str], ...],
    seed: int,
    fault: Callable[[FaultProxy], None],
    seconds: float,
    what: str,
) -> Outcome:
    platform, wires = given
    with Load(platform, seed) as load:
        for kind, server in pairs:
            load.wait_for_accepted(10)
            proxy, accepted = wires.between(kind, server), load.ledger.accepted
            fault(proxy)
            try:
                load.run_for(seconds)
            finally:
                proxy.pass_on()
            if server == "cache" and load.ledger.accepted == accepted:
                load.ledger.broken(f"{kind} to cache {what}: intake stood still")
            load.recovers_within(_WELL_SECONDS, f"{kind} to {server} {what} for {seconds:.0f} s")
        _nobody_holds_a_shard(platform, load)
        return load.finish()


def _mend(proxies: list[FaultProxy]) -> None:
    for proxy in proxies:
        proxy.pass_on()


def _nobody_holds_a_shard(platform: LivePlatform, load: Load) -> None:
    """No transaction of before is still there."""
    with platform.database() as connection:
        old = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'iot-%' "
            "AND xact_start < now() - interval '40 seconds'"
        ).fetchone()
    if old != (0,):
        load.ledger.broken(f"{old} transactions are still open after 40 s")

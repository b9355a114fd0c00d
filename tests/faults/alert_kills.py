"""What judges, stores and tells killed (SIGKILL) while alerts open and clear: at random moments, and mid-delivery."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from tests.alerts.receivers import web_server
from tests.faults.alert_admin import SETTINGS
from tests.faults.alert_load import FLAPPING, AlertLoad, AlertOutcome
from tests.faults.alert_receiver import Inbox
from tests.live import LivePlatform

__all__ = ["kill_while_alerting", "platform_with_receiver"]

_MOMENT_SECONDS = 20.0
#: Who is killed in turn, and when: at a random moment; while drains are between what they stored and their COMMIT; or
#: while a receiver has a message and has not answered yet.
_TURNS = (
    ("drain1", "mid-drain"),
    ("worker", "mid-delivery"),
    ("postgres", "mid-drain"),
    ("log", ""),
    ("drain2", ""),
    ("postgres", "mid-delivery"),
    ("drain2", "mid-drain"),
    ("worker", ""),
    ("drain1", ""),
    ("log", "mid-delivery"),
)
_LOCK = "LOCK TABLE alerts_alertevent IN SHARE ROW EXCLUSIVE MODE"
#: Drains that have stored and judged, and are about to write what happened to alerts.
_HELD = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE NOT l.granted AND l.relation = 'alerts_alertevent'::regclass AND a.query LIKE '%INSERT INTO alerts_alertevent%event_time%'
"""


@contextmanager
def platform_with_receiver(run_dir: Path) -> Iterator[tuple[LivePlatform, Inbox]]:
    """The whole platform, and somebody who is told of alerts."""
    settings = SETTINGS | {
        "ALERT_FLAPPING_OPENINGS": str(FLAPPING.openings),
        "ALERT_FLAPPING_MINUTES": str(FLAPPING.within_us // 60_000_000),
    }
    with web_server(Inbox()) as inbox, LivePlatform(run_dir, **settings) as platform:
        yield platform, inbox


def kill_while_alerting(platform: LivePlatform, inbox: Inbox, rounds: int, seed: int) -> AlertOutcome:
    """One after the other is killed, and started again."""
    chance = random.Random(seed)
    interrupted = 0
    with AlertLoad(platform, inbox, seed) as load:
        for number in range(rounds):
            load.wait_for_accepted(chance.randint(10, 80))
            name, when = _TURNS[number % len(_TURNS)]
            with _moment(when, platform, inbox, load):
                platform.kill(name)
            interrupted += when == "mid-delivery" and name != "log"  # which a delivery does without
            platform.restart(name)
            if name in ("worker", "postgres"):
                load.let_leases_run_out()
        load.wait_for_accepted(60)
        outcome = load.finish()
    if interrupted and not outcome.repeated:
        outcome.violations.append(f"{interrupted} deliveries were interrupted, and no message came again")
    return outcome


def _moment(when: str, platform: LivePlatform, inbox: Inbox, load: AlertLoad) -> AbstractContextManager[None]:
    match when:
        case "mid-drain":
            return _mid_drain(platform, load)
        case "mid-delivery":
            return _mid_delivery(inbox, load)
    return nullcontext()


@contextmanager
def _mid_drain(platform: LivePlatform, load: AlertLoad) -> Iterator[None]:
    with platform.database() as holder, platform.database() as watcher:
        holder.autocommit = False
        holder.execute(_LOCK)
        drains = [name for name in platform.running if name.startswith("drain")]
        load.wait(lambda: watcher.execute(_HELD).fetchone() == (len(drains),), _MOMENT_SECONDS, "drains in the middle")
        yield
        holder.close()


@contextmanager
def _mid_delivery(inbox: Inbox, load: AlertLoad) -> Iterator[None]:
    with inbox.holding() as arrived:
        load.wait(arrived.is_set, _MOMENT_SECONDS, "a message under way")
        yield

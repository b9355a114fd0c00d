"""What judges, stores and tells killed (SIGKILL) while alerts open and clear: at random moments, and mid-delivery."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.alerts.receivers import web_server
from tests.faults.alert_admin import SETTINGS
from tests.faults.alert_load import FLAPPING, AlertLoad, AlertOutcome
from tests.faults.alert_receiver import Inbox
from tests.live import LivePlatform

__all__ = ["kill_while_alerting", "platform_with_receiver"]

_DELIVERY_SECONDS = 30.0
#: Who is killed in turn; "mid-delivery": while a receiver has a message and has not answered yet.
_TURNS = (
    *(("drain1", ""), ("worker", "mid-delivery"), ("postgres", ""), ("drain2", ""), ("log", "")),
    *(("postgres", "mid-delivery"), ("drain1", ""), ("worker", ""), ("drain2", ""), ("log", "mid-delivery")),
)


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
            if when:
                _mid_delivery(load, inbox, lambda name=name: platform.kill(name))
                interrupted += name != "log"  # which a delivery does without
            else:
                platform.kill(name)
            platform.restart(name)
            if name in ("worker", "postgres"):
                load.let_leases_run_out()
        load.wait_for_accepted(60)
        outcome = load.finish()
    if interrupted and not outcome.repeated:
        outcome.violations.append(f"{interrupted} deliveries were interrupted, and no message came again")
    return outcome


def _mid_delivery(load: AlertLoad, inbox: Inbox, kill: Callable[[], None]) -> None:
    with inbox.holding() as arrived:
        if not arrived.wait(_DELIVERY_SECONDS):
            load.ledger.broken(f"no message within {_DELIVERY_SECONDS:.0f} s")
        kill()

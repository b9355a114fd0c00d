"""Two beats at once for a while, and one that stands still and goes on: nothing is told or done twice, nothing is left out."""

from __future__ import annotations

import random
from dataclasses import replace

from iotplatform.launcher import processes
from tests.faults.alert_load import AlertLoad, AlertOutcome
from tests.faults.alert_receiver import Inbox
from tests.faults.outages import frozen
from tests.live import LivePlatform

__all__ = ["two_beats"]

_OTHER = "beat2"


def two_beats(platform: LivePlatform, inbox: Inbox, rounds: int, seed: int) -> AlertOutcome:
    """In each round a second beat starts; the first one is frozen and goes on beside it; then it is alone, and frozen."""
    chance = random.Random(seed)
    platform.add(_second_beat(platform))
    with AlertLoad(platform, inbox, seed) as load:
        for _ in range(rounds):
            platform.restart(_OTHER)
            load.wait_for_accepted(chance.randint(60, 120))
            with frozen(platform.family("beat")[0].pid):
                load.wait_for_accepted(chance.randint(60, 120))
            load.wait_for_accepted(chance.randint(60, 120))
            platform.kill(_OTHER)
            with frozen(platform.family("beat")[0].pid):
                load.wait_for_accepted(chance.randint(60, 120))
        load.wait_for_accepted(60)
        outcome = load.finish()
    if outcome.repeated:
        outcome.violations.append(f"{outcome.repeated} messages came twice")
    return outcome


def _second_beat(platform: LivePlatform) -> processes.Command:
    """As started by mistake on another machine: with a sign of life of its own."""
    first = processes.beat(platform.config)
    schedule = str(platform.config.run_dir / "beat-schedule")
    argv = tuple(f"{schedule}-2" if part == schedule else part for part in first.argv)
    environment = {**first.environment, "PROCESS_NAME": _OTHER}
    return replace(first, name=_OTHER, argv=argv, environment=environment)

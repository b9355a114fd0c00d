"""Alerts and their messages under load while processes and servers are killed, a few rounds; `make soak` has more.

What must hold: the alerts are those that the readings, judged one by one in the order they came, give; no pair ever has
two live ones; whoever is to be told of one is told, and can tell a repetition by its key.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.faults.alert_kills import kill_while_alerting, platform_with_receiver

_SEED = 20_261_121
_ROUNDS = 7


@pytest.mark.slow
def test_every_alert_opens_once_and_is_told_whatever_is_killed() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="alerts-", dir="/tmp") as folder,
        platform_with_receiver(Path(folder) / "run") as (platform, inbox),
    ):
        outcome = kill_while_alerting(platform, inbox, _ROUNDS, _SEED)
    print(outcome)
    assert not outcome.violations, "\n".join([str(outcome), *outcome.violations])
    assert outcome.alerts > 100, outcome
    assert outcome.flapping > 0, outcome
    assert outcome.messages > 10, outcome
    assert outcome.looks > 50, outcome

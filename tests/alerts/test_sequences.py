"""Whatever drains find, in whatever portions: at most one live alert of a pair, and a timeline that tells its life."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.models import Alert
from tests.alerts.changes import NOON, Pair, record_all, timeline
from thresholds.models import Severity
from thresholds.transitions import Extreme

#: What may follow what, in the life of one pair; "cut" ends a drain.
_NEXT = {
    "none": ["opened", "cut"],
    "live": ["raised", "lowered", "flapping", "progress", "cleared", "ended", "cut"],
}


@st.composite
def lives(draw: st.DrawFn) -> list[str]:
    """Changes of one pair as judging would find them, cut into drains."""
    steps, state = [], "none"
    for _ in range(draw(st.integers(1, 25))):
        step = draw(st.sampled_from(_NEXT[state]))
        steps.append(step)
        state = {"opened": "live", "cleared": "none", "ended": "none"}.get(step, state)
    return [*steps, "cut"]


def play(pair: Pair, steps: list[str], others: list[Pair]) -> None:
    """Record them, a drain at a time. A drain's progress and endings stand apart from its transitions, so that each is
    cut where judging would cut."""
    waiting = 0
    for at, step in enumerate(steps, 1):
        if step in ("cut", "ended") or (pair.steps and step != "progress"):
            record_all(pair, *others)
        if step == "progress":
            pair.steps.clear()
            waiting += 1
            pair.progress(at, 80 + at, Extreme(80 + at, "high"), waiting)
        elif step == "ended":
            record_all(pair.ended())
        elif step != "cut":
            waiting = 0
            getattr(pair, step)(at)
    record_all(pair, *others)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(many=st.lists(lives(), min_size=1, max_size=3))
@pytest.mark.usefixtures("platform_db")
def test_one_live_alert_and_a_consistent_timeline(many: list[list[str]]) -> None:
    Alert.objects.all().delete()
    for steps in many:
        pair = Pair.make()
        play(pair, steps, [])
        check(pair, steps)


def check(pair: Pair, steps: list[str]) -> None:
    alerts = pair.alerts()
    moves = [step for step in steps if step not in ("cut", "progress")]
    assert [kind for alert in alerts for kind in timeline(alert)] == [
        "cleared" if step == "ended" else step for step in moves
    ]
    assert len(alerts) == moves.count("opened")
    live = [alert for alert in alerts if alert.state in Alert.LIVE]
    assert len(live) == (1 if moves.count("opened") > moves.count("cleared") + moves.count("ended") else 0)
    assert live == alerts[len(alerts) - len(live) :]
    for before, after in pairwise(alerts):
        assert before.state == Alert.State.CLEARED
        assert before.opened_at < after.opened_at
    for alert in alerts:
        agrees(alert)


def agrees_on_its_end(alert: Any) -> None:
    """It has one opening, and one ending if it is over."""
    kinds = timeline(alert)
    assert kinds[0] == "opened"
    assert kinds.count("opened") == 1
    endings = [kind for kind in kinds if kind in ("cleared", "resolved")]
    assert endings == ([alert.state] if alert.state not in Alert.LIVE else [])
    assert (alert.ended_at is not None) == bool(endings)


def agrees(alert: Any) -> None:
    """The alert's fields say what its timeline does."""
    agrees_on_its_end(alert)
    events = list(alert.timeline.all())
    assert events[0].event_time == alert.opened_at
    levels = [event.severity for event in events if event.kind in ("opened", "raised", "lowered")]
    assert (alert.severity, alert.highest_severity) == (levels[-1], max(levels))
    assert alert.flapping == any(event.kind == "flapping" for event in events)
    assert alert.trigger == (90.0 if alert.severity == Severity.CRITICAL else 70.0)
    assert alert.value_at.timestamp() * 1e6 >= NOON
    if alert.end_reason == "":
        moments = [event.event_time for event in events]
        assert moments == sorted(moments)

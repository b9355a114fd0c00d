"""What people do with alerts: who wins, who is told, and what judging is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections

from alerts import actions
from alerts.actions import Outcome
from alerts.models import Alert, AlertEvent
from alerts.record import record
from telemetry.database import connect
from telemetry.models import LogLayout
from tests.alerts.changes import Pair, judged_of, opened_alert, record_all, timeline
from tests.alerts.operators import operator
from tests.builders import wait_until
from thresholds.models import PairState, ShardJudging

pytestmark = pytest.mark.usefixtures("platform_db")
#: Of the connections of Django, in these tests.
LOCK_TIMEOUT = settings.PLATFORM.database_timeout_seconds


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run these in threads of their own that start together; their answers, in order."""
    ready = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            ready.wait(10)
            answers[place] = calls[place]()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[place]) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def shard_of(alert: Alert) -> int:
    return int(alert.device_id % LogLayout.objects.get().shards)


def test_an_acknowledged_alert_says_who_has_it_and_since_when() -> None:
    alert, ann = opened_alert(), operator(username="ann")
    assert actions.acknowledge([alert.pk], ann, "on my way").changed == [alert.pk]
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", ann)
    event = alert.timeline.last()
    assert (event.kind, event.who, event.text, event.at) == ("acknowledged", ann, "on my way", alert.acknowledged_at)


def test_of_two_who_acknowledge_at_once_one_wins_and_the_other_is_told() -> None:
    for _ in range(10):
        alert, ann, bob = opened_alert(), operator(), operator()
        outcomes: list[Outcome] = at_once(
            lambda: actions.acknowledge([alert.pk], ann),  # noqa: B023
            lambda: actions.acknowledge([alert.pk], bob),  # noqa: B023
        )
        (winner,) = [each for each in outcomes if each.changed]
        (loser,) = [each for each in outcomes if each.refused]
        alert.refresh_from_db()
        assert winner is outcomes[0 if alert.acknowledged_by == ann else 1]
        assert alert.acknowledged_by.username in loser.refused[alert.pk]
        assert timeline(alert) == ["opened", "acknowledged"]


def test_acknowledging_again_changes_nothing_for_the_same_person() -> None:
    alert, ann = opened_alert(), operator()
    actions.acknowledge([alert.pk], ann)
    assert actions.acknowledge([alert.pk], ann).unchanged == [alert.pk]
    assert timeline(alert) == ["opened", "acknowledged"]


def test_what_is_over_cannot_be_acknowledged() -> None:
    pair, ann = Pair.make(), operator(username="ann")
    pair.opened(0).record()
    alert = pair.cleared(5).record()
    assert "cleared at 2026-11-18" in actions.acknowledge([alert.pk], ann).refused[alert.pk]
    removed = Pair.make().opened(0)
    removed.record()
    gone = removed.ended().record()
    assert "(threshold removed)" in actions.acknowledge([gone.pk], ann).refused[gone.pk]
    resolved = opened_alert()
    actions.resolve([resolved.pk], operator(username="eve"))
    assert "eve resolved it" in actions.acknowledge([resolved.pk], ann).refused[resolved.pk]


def test_an_alert_is_given_to_somebody_and_taken_back() -> None:
    alert, ann, bob = opened_alert(), operator(), operator(username="bob")
    assert actions.assign([alert.pk], ann, bob).changed
    assert actions.assign([alert.pk], ann, bob).unchanged
    assert Alert.objects.get().assignee == bob
    assert actions.assign([alert.pk], ann, None).changed
    assert Alert.objects.get().assignee is None
    assert list(alert.timeline.values_list("text", flat=True))[1:] == ["Assigned to bob.", "Assigned to nobody."]


def test_comments_stand_in_the_timeline_of_ended_alerts_too() -> None:
    pair, ann = Pair.make(), operator()
    pair.opened(0).record()
    alert = pair.cleared(5).record()
    assert actions.comment([alert.pk], ann, "it was the fan").changed == [alert.pk]
    assert alert.timeline.last().text == "it was the fan"


def test_resolving_ends_the_alert_and_tells_judging() -> None:
    pair, ann = Pair.make(), operator()
    alert = pair.opened(0).record()
    assert actions.resolve([alert.pk], ann, "replaced").changed == [alert.pk]
    alert.refresh_from_db()
    assert (alert.state, alert.end_reason) == ("resolved", "resolved")
    event = alert.timeline.last()
    assert (event.kind, event.who, event.unrouted) == ("resolved", ann, True)
    state = PairState.objects.get(threshold_id=pair.threshold.pk, series_id=pair.series.pk)
    assert (state.waiting, state.shard) == (True, shard_of(alert))
    assert ShardJudging.objects.get(shard=shard_of(alert)).epoch == 1


def test_what_judging_remembered_of_a_resolved_pair_is_marked_and_its_openings_stay() -> None:
    pair = Pair.make()
    alert = pair.opened(0).record()
    PairState.objects.create(
        threshold_id=pair.threshold.pk,
        series_id=pair.series.pk,
        shard=shard_of(alert),
        on_levels=2,
        since=[None] * 4,
        counts=[0] * 4,
        safe_since=[None] * 4,
        openings=[1, 2],
    )
    actions.resolve([alert.pk], operator())
    state = PairState.objects.get()
    assert (state.waiting, state.openings) == (True, [1, 2])


def test_resolving_again_is_refused_to_others_and_nothing_to_the_same_person() -> None:
    alert, ann, bob = opened_alert(), operator(username="ann"), operator()
    actions.resolve([alert.pk], ann)
    assert actions.resolve([alert.pk], ann).unchanged == [alert.pk]
    assert "ann resolved it" in actions.resolve([alert.pk], bob).refused[alert.pk]
    assert ShardJudging.objects.get().epoch == 1


def test_resolving_waits_for_a_drain_of_the_shard() -> None:
    """A drain that clears the alert while somebody resolves it: one of them ends it, once."""
    pair = Pair.make()
    alert = pair.opened(0).record()
    outcomes: list[Outcome] = []
    with connect(autocommit=True) as drain, drain.transaction():
        drain.execute("SELECT 1 FROM telemetry_shardposition WHERE shard = %s FOR UPDATE", [shard_of(alert)])
        person = threading.Thread(target=lambda: at_once_resolve(alert, outcomes))
        person.start()
        wait_until(_somebody_waits_for_a_lock, what="resolving waits for the shard")
        record(drain, judged_of(pair.cleared(9)))
    person.join(30)
    assert outcomes[0].changed == []
    assert "cleared" in outcomes[0].refused[alert.pk]
    assert timeline(alert) == ["opened", "cleared"]
    assert not PairState.objects.exists()


def at_once_resolve(alert: Alert, outcomes: list[Outcome]) -> None:
    try:
        outcomes.append(actions.resolve([alert.pk], operator()))
    finally:
        connections.close_all()


def _somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])


@pytest.fixture
def short_patience() -> Any:
    """Locks are waited for a moment only."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{int(LOCK_TIMEOUT * 1000)}ms'")


def test_who_would_wait_too_long_is_told_so_and_nothing_has_changed(short_patience: None) -> None:
    alert = opened_alert()
    with connect(autocommit=True) as drain, drain.transaction():
        drain.execute("SELECT 1 FROM telemetry_shardposition WHERE shard = %s FOR UPDATE", [shard_of(alert)])
        assert actions.resolve([alert.pk], operator()).busy == [alert.pk]
        drain.execute("SELECT 1 FROM alerts_alert WHERE id = %s FOR UPDATE", [alert.pk])
        assert actions.acknowledge([alert.pk], operator()).busy == [alert.pk]
    assert timeline(alert) == ["opened"]
    assert actions.resolve([alert.pk], operator()).changed == [alert.pk]


def test_many_at_once_do_not_wait_in_a_ring_with_a_drain() -> None:
    """A drain holds one alert and wants another; whoever acknowledges both must not hold the other and want the one."""
    pairs = [Pair.make() for _ in range(40)]
    record_all(*(pair.opened(0) for pair in pairs))
    ids = list(Alert.objects.order_by("-id").values_list("pk", flat=True))
    ann = operator()
    with connect(autocommit=True) as drain, drain.transaction():
        drain.execute("SELECT 1 FROM alerts_alert WHERE id = %s FOR NO KEY UPDATE", [ids[0]])
        answers: list[Outcome] = []
        person = threading.Thread(target=lambda: answers.extend(at_once(lambda: actions.acknowledge(ids, ann))))
        person.start()
        wait_until(_somebody_waits_for_a_lock, what="acknowledging waits for the one that is locked")
        # Everything else is free for the drain, although the person has not finished.
        drain.execute("SELECT 1 FROM alerts_alert WHERE id <> %s FOR NO KEY UPDATE NOWAIT", [ids[0]])
    person.join(30)
    assert sorted(answers[0].changed) == sorted(ids)
    assert Alert.objects.filter(state="acknowledged").count() == 40


def test_each_of_many_gets_its_own_answer() -> None:
    ann, bob = operator(username="ann"), operator()
    mine, theirs, free = opened_alert(), opened_alert(), opened_alert()
    actions.acknowledge([mine.pk], bob)
    actions.acknowledge([theirs.pk], ann)
    outcome = actions.acknowledge([mine.pk, theirs.pk, free.pk, free.pk, 10**9], bob)
    assert (outcome.changed, outcome.unchanged, list(outcome.refused)) == ([free.pk], [mine.pk], [theirs.pk])
    assert outcome.missing == [10**9]


def test_a_thousand_are_resolved_over_all_shards() -> None:
    pairs = [Pair.make() for _ in range(8)]
    record_all(*(pair.opened(0) for pair in pairs))
    ids = list(Alert.objects.values_list("pk", flat=True))
    outcome = actions.resolve([*ids, 10**9], operator())
    assert (sorted(outcome.changed), outcome.missing) == (sorted(ids), [10**9])
    shards = set(ShardJudging.objects.filter(epoch__gte=1).values_list("shard", flat=True))
    assert shards == {shard_of(alert) for alert in Alert.objects.all()}
    assert PairState.objects.filter(waiting=True).count() == 8
    assert AlertEvent.objects.filter(kind="resolved", unrouted=True).count() == 8

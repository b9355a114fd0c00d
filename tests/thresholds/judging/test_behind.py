"""Judging fails at any moment and catches up: what comes of it is what would have come of it at once."""

from __future__ import annotations

from random import Random
from typing import Any

import psycopg
import pytest

from alerts.models import Alert, AlertEvent
from telemetry.database import connect
from telemetry.models import Series
from tests.thresholds.judging.parts import NOON, Sender, Wall, Worker, alerts, make_threshold, worker
from tests.thresholds.judging.streams import CONDITIONS, START, make_levels
from tests.thresholds.reference import Reference
from thresholds import judge as judging
from thresholds.compiled import Place
from thresholds.load import load_rules
from thresholds.models import LateBreaches, PairState, Severity, Threshold, UnjudgedFrontier


class Failing:
    """Makes judging fail while told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        original = judging.save_states

        def save(*arguments: Any) -> None:
            original(*arguments)
            if self.on:
                raise psycopg.errors.UndefinedTable("it broke")

        monkeypatch.setattr(judging, "save_states", save)


@pytest.fixture
def failing(platform_db: None, monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


def test_readings_that_are_judged_late_are_judged_in_order(failing: Failing) -> None:
    make_threshold(levels={"warning": {"trigger": 80, "clear": 70}})
    sender = Sender.make()
    with worker(sender.shard) as one:
        sender.send((0, 60))
        one.work()
        failing.on = True
        sender.send((10, 85))
        one.work()
        sender.send((5, 99))  # late, though judging has not seen the one before it
        sender.send((20, 60))
        one.work()
        assert alerts() == []
        assert UnjudgedFrontier.objects.get().newest == NOON
        failing.on = False
        sender.send((30, 90))
        one.work()
    assert alerts() == [("cleared", "warning", 10, 20), ("open", "warning", 30, None)]
    assert LateBreaches.objects.get().count == 1
    assert not UnjudgedFrontier.objects.exists()


def test_rates_are_taken_from_what_was_stored_at_that_time(failing: Failing) -> None:
    make_threshold(condition="rate_above", levels={"warning": 5})
    sender = Sender.make()
    with worker(sender.shard) as one:
        sender.send((0, 10))
        one.work()
        failing.on = True
        sender.send((1, 12))
        one.work()
        sender.send((2, 18), (3, 18))
        one.work()
        failing.on = False
        one.work()
    assert alerts() == [("cleared", "warning", 2, 3)]
    assert Alert.objects.get().extreme == 6


def test_a_range_that_is_given_up_is_told_and_judging_goes_on_behind_it(failing: Failing) -> None:
    make_threshold()
    sender, told = Sender.make(), []
    tell = lambda connection, shard, readings: told.append((shard, readings > 0))  # noqa: E731
    with worker(sender.shard, on_unjudged=tell, log_max_bytes=500) as one:
        sender.send((0, 60))
        one.work()
        failing.on = True
        for at in range(1, 8):
            sender.send((at, 85))
            one.work()
        failing.on = False
        sender.send((10, 60), (11, 85))
        one.work()
    assert told and told[0] == (sender.shard, True)
    assert alerts()[-1] == ("open", "warning", 11, None)
    assert not UnjudgedFrontier.objects.exists()


@pytest.mark.parametrize("seed", range(4))
def test_the_drain_finds_what_the_reference_finds_however_often_judging_fails(failing: Failing, seed: int) -> None:
    random = Random(seed)
    senders = [Sender.make("a")]
    senders.append(Sender(senders[0].device, Series.objects.create(device=senders[0].device, metric="b").pk))
    for place in range(3):
        condition = random.choice(CONDITIONS)
        levels = {Severity(level.pop("severity")).label: level for level in make_levels(random, condition)}
        make_threshold(
            random.choice(["a", "b"]),
            levels,
            name=f"{place}",
            condition=condition,
            for_seconds=random.choice([0, 0, 2, 3]),
            consecutive=random.choice([1, 1, 2]),
            clear_for_seconds=random.choice([0, 0, 2]),
            max_gap_seconds=random.choice([None, 2]),
            overrides=random.choice([None, None, Threshold.objects.first()]),
        )
    with connect(autocommit=True) as direct:
        rules = load_rules(direct)
    wall = Wall((START + 3_600_000_000) / 1e6)
    now = round(wall.now * 1e6)
    places = [Place(sender.series, sender.device.pk, metric) for sender, metric in zip(senders, "ab", strict=True)]
    reference = Reference(rules, places, now)
    one, other = Worker.start(senders[0].shard, wall), Worker.start(senders[0].shard, wall, drain_max_rows=2)
    clocks = dict.fromkeys(range(2), START)
    for _ in range(40):
        place = random.randrange(2)
        readings = []
        for _ in range(random.randrange(1, 4)):
            at = clocks[place] + random.choice([1, 1, 1, 2, 3, 10, 0, -1, -5]) * 1_000_000
            clocks[place] = max(clocks[place], at)
            readings.append((at, random.choice([0.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0])))
        judged = random.random() < 0.9
        senders[place].send(*[((at - NOON) / 1e6, value) for at, value in readings], judge=judged, backfill=not judged)
        for at, value in readings:
            reference.read(senders[place].series, at, value, judged)
        failing.on = random.random() < 0.4
        if random.random() < 0.7:
            random.choice([one, other]).work()
    failing.on = False
    one.work()
    one.drain.close()
    other.drain.close()
    assert _alerts() == sorted(
        [
            (
                *(alert.threshold_id, alert.series_id, alert.opened_at, alert.ended_at, alert.severity, alert.highest),
                *(alert.value, alert.extreme, alert.readings, alert.caught_up, alert.timeline),
            )
            for alert in reference.alerts
        ],
        key=lambda alert: alert[:3],
    )
    assert PairState.objects.count() == sum(1 for pair in reference.clocks.values() if pair != type(pair)())
    # Repeats in a request that was judged late are not told from other late readings of it.
    late = {(row.threshold_id, row.series_id): row.count for row in LateBreaches.objects.all()}
    assert all(count <= reference.late.get(pair, 0) for pair, count in late.items())


def _alerts() -> list[tuple[Any, ...]]:
    found = []
    for alert in Alert.objects.order_by("threshold_id", "series_id", "opened_at"):
        events = AlertEvent.objects.filter(alert=alert).order_by("id")
        timeline = [(event.kind, _us(event.event_time), event.severity) for event in events]
        found.append(
            (
                *(alert.threshold_id, alert.series_id, _us(alert.opened_at), _us(alert.ended_at)),
                *(alert.severity, alert.highest_severity, alert.value, alert.extreme, alert.readings),
                *(alert.caught_up, timeline),
            )
        )
    return found


def _us(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1e6)

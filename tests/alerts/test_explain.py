"""An alert says in words why it opened, who was told, and who was not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from alerts import actions
from alerts.dispatch import dispatch
from alerts.explain import Explanation, explain
from alerts.models import Alert, Message
from telemetry.database import connect
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from tests.alerts.changes import NOON, Pair, make_type
from tests.alerts.operators import operator
from tests.alerts.people import make_route, make_silence, make_webhook, tell_all
from tests.alerts.receivers import WebServer
from tests.builders import make_device
from thresholds.models import Condition, RulesInForce, Severity
from thresholds.transitions import Extreme

pytestmark = pytest.mark.usefixtures("platform_db")

EVIDENCE = {
    "since": NOON,
    "held_seconds": 300.0,
    "breaching": 6,
    "for_seconds": 300.0,
    "consecutive": 3,
    "gap_policy": "reset",
    "max_gap_seconds": 180.0,
    "previous": NOON + 240_000_000,
    "compared": 82.4,
}


def explained(alert: Alert) -> Explanation:
    return explain(Alert.objects.get(pk=alert.pk))


def pump(**fields: Any) -> Pair:
    return Pair.make(make_device("pump-7", type=make_type()), for_seconds=300, consecutive=3, **fields)


def store(pair: Pair, *readings: tuple[float, float]) -> None:
    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        times = np.array([NOON + int(at * 1e6) for at, _ in readings])
        Coverage(engine_in_use(cursor), 7).ensure(cursor, times)
        cursor.executemany(
            "INSERT INTO telemetry_reading (time, series_id, value) VALUES (to_timestamp(%s / 1e6), %s, %s)",
            [(int(at), pair.series.pk, value) for at, (_, value) in zip(times, readings, strict=True)],
        )


def test_it_names_the_level_how_long_the_readings_and_the_gap_policy() -> None:
    pair = pump()
    store(pair, *((at, 80 + at / 100) for at in range(-60, 360, 60)))
    alert = pair.opened(300, 82.4, evidence=EVIDENCE, readings=6, extreme=Extreme(83, "high")).record()
    assert explained(alert).opening[:5] == [
        "It opened as warning at 2026-11-18 11:11:40 UTC (event time): temperature of pump-7 was 82.4 °C; "
        "the level warning means above 70 °C.",
        "It had been so since 2026-11-18 11:06:40 UTC, for 5 min, in 6 readings in a row.",
        "The threshold asks for 5 min without a break and 3 readings in a row.",
        "The readings: 11:06:40 80 °C, 11:07:40 80.6 °C, 11:08:40 81.2 °C, 11:09:40 81.8 °C, 11:10:40 82.4 °C, "
        "11:11:40 83 °C.",
        "Its gap policy is reset: had two readings lain more than 3 min apart, the clock had started anew.",
    ]


def test_of_many_readings_the_first_and_the_last_are_named() -> None:
    pair = pump()
    store(pair, *((at, float(at)) for at in range(0, 301, 10)))
    alert = pair.opened(300, 82.4, evidence=EVIDENCE).record()
    (readings,) = [each for each in explained(alert).opening if each.startswith("The readings")]
    assert readings == (
        "The readings: 11:06:40 0 °C, 11:06:50 10 °C, 11:07:00 20 °C, …, 11:11:20 280 °C, 11:11:30 290 °C, 11:11:40 300 °C."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gap_policy": "hold", "max_gap_seconds": None}, "Its gap policy is hold: the clock runs on across gaps"),
        ({"max_gap_seconds": None}, "Its gap policy is reset, but no interval is known"),
    ],
)
def test_other_gap_policies(changes: dict[str, Any], said: str) -> None:
    alert = pump().opened(300, 82.4, evidence=EVIDENCE | changes).record()
    assert any(sentence.startswith(said) for sentence in explained(alert).opening)


def test_a_rate_and_a_range_and_silence_are_said_in_their_own_words() -> None:
    rate = Pair.make(make_device("r", type=make_type()), condition=Condition.RATE_ABOVE)
    text = explained(rate.opened(0, 82.4, trigger=70.0, evidence={"compared": 71.5}).record()).text
    assert "was 82.4 °C and had changed by 71.5 °C per second since the reading before" in text
    assert "the level warning means changing faster than 70 °C per second" in text
    outside = Pair.make(make_device("o", type=make_type()), condition=Condition.OUTSIDE)
    outside.threshold.levels.filter(severity=Severity.WARNING).update(trigger=10, trigger_high=30)
    alert = outside.opened(0, 82.4, trigger=[10.0, 30.0]).record()
    Alert.objects.filter(pk=alert.pk).update(rule={})
    assert "means outside of 10 to 30 °C" in explained(alert).text
    silent = Pair.make(make_device("s", type=make_type()), condition=Condition.SILENT)
    text = explained(silent.opened(0, 90, evidence={"compared": 90.0}).record()).text
    assert "s had sent no temperature for 1 min 30 s; the threshold allows 1 min 10 s." in text


def test_it_names_the_rules_that_judged_it_and_what_became_of_them() -> None:
    pair = pump()
    now = timezone.now()
    alert = pair.opened(0).record()
    for version, at in ((6, now - timedelta(days=2)), (7, now - timedelta(days=1)), (8, now + timedelta(days=1))):
        RulesInForce.objects.create(shard=alert.device_id % 4, rules=version, placement=1, after_entry="0-0", at=at)
    assert "It was judged by version 7 of the rules." in explained(alert).opening
    pair.threshold.save()
    assert any(each.startswith("The threshold was changed since") for each in explained(alert).opening)
    pair.threshold.delete()
    assert "The threshold has been deleted since." in explained(alert).opening


def test_how_it_went_on() -> None:
    pair = pump()
    pair.opened(0, 82).record()
    pair.raised(60, 95, readings=4, extreme=Extreme(97.5, "high")).flapping(60).record()
    alert = pair.alerts()[0]
    actions.acknowledge([alert.pk], operator(username="ann"))
    course = explained(alert).course
    assert course[:4] == [
        "4 readings breached so far, at worst 97.5 °C.",
        "It rose to critical.",
        "It is flapping: it opened too often in a short time, and stays open until it is quiet.",
        "The latest judged value is 80 °C, of 2026-11-18 11:07:40 UTC.",
    ]
    assert course[4].startswith("ann acknowledged it at 20")
    pair.cleared(120).record()
    assert explained(alert).course[-1] == "It cleared at 2026-11-18 11:08:40 UTC, after 2 min."
    ended = Pair.make().opened(0)
    ended.record()
    assert explained(ended.ended("device disabled").record()).course[-1].endswith("without a reading: device disabled.")


def test_who_was_told_and_in_what_company(receiver: WebServer) -> None:
    make_route(make_webhook(receiver, name="ops"), name="all")
    first, second = pump(), Pair.make()
    alert = first.opened(0).record()
    second.opened(0).record()
    before = explained(alert)
    assert (before.told, before.not_told) == ([], ["Routing has yet to look at it; that takes a few seconds."])
    tell_all()
    (told,) = [each for each in explained(alert).told if "ops" in each]
    assert told.startswith("ops (webhook, by the route all) was told of the opening at 20")
    assert told.endswith(", in one message with 1 other alert.")


def test_a_message_on_its_way_and_one_that_was_given_up() -> None:
    make_route(make_webhook(name="ops"), name="all")
    alert = pump().opened(0).record()
    dispatch()
    (waiting,) = [each for each in explained(alert).not_told if "ops" in each]
    assert "will be told of the opening at 20" in waiting
    assert "waits for other alerts, so that many go out as one" in waiting
    Message.objects.filter(channel__name="ops").update(state="failed", attempts=3, error="It said 404.")
    (failed,) = [each for each in explained(alert).not_told if "ops" in each]
    assert failed == (
        "ops (webhook, by the route all) could not be told of the opening: given up after 3 attempts (It said 404)."
    )


def test_what_a_silence_holds_back(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    make_silence(reason="new bearings")
    alert = pump().opened(0).record()
    tell_all()
    found = explained(alert)
    assert found.told == []
    assert "new bearings" in found.not_told[0]
    assert found.not_told[-1].startswith("It is held back since 20")


def test_old_data_and_imports_say_why_nobody_is_told(receiver: WebServer) -> None:
    make_route(make_webhook(receiver))
    late = pump().opened(0, caught_up=False).record()
    assert explained(late).not_told[0].startswith("Nobody is told yet: its readings are old")
    imported = Pair.make().opened(0, imported=True, caught_up=False).record()
    assert explained(imported).not_told == ["It was recorded by an import or a backfill: nobody is told of those."]
    tell_all()
    assert len(explained(imported).not_told) == 1
    assert "import" in explained(imported).not_told[0]


def test_the_text_is_a_paragraph_a_question() -> None:
    text = explained(pump().opened(0).record()).text
    assert [part.split(":")[0] for part in text.split("\n\n")] == [
        *("Why it opened", "How it went on", "Who was not told, and why")
    ]

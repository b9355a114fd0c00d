"""What judging finds becomes alerts with a timeline, in the drain's transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from alerts.fold import OpenedTwice
from alerts.models import Alert
from alerts.record import record
from telemetry.database import connect
from telemetry.deletion import delete_device
from telemetry.models import Series
from tests.alerts.changes import NOON, Pair, judged_of, make_type, record_all, timeline
from tests.builders import make_device
from thresholds.models import Condition, Severity
from thresholds.transitions import Extreme

pytestmark = pytest.mark.usefixtures("platform_db")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON / 1e6, UTC) + timedelta(seconds=seconds)


def test_an_opening_is_an_open_alert_that_names_what_it_is_about() -> None:
    pair = Pair.make(make_device("pump-7", type=make_type()))
    alert = pair.opened(
        60.25, 82.5, evidence={"since": NOON, "breaching": 3}, readings=3, extreme=Extreme(84.0, "high")
    ).record()
    assert (alert.state, alert.severity, alert.highest_severity) == ("open", Severity.WARNING, Severity.WARNING)
    assert (alert.threshold_name, alert.device_name, alert.metric, alert.unit) == (
        *("Bearing hot", "pump-7", "temperature", "°C"),
    )
    assert (alert.value, alert.value_at, alert.extreme, alert.readings) == (82.5, at(60.25), 84.0, 3)
    assert (alert.opened_at, alert.trigger, alert.condition) == (at(60.25), 70.0, "above")
    assert abs(alert.detected_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert alert.evidence == {"since": NOON, "breaching": 3}
    assert alert.rule["levels"][1] == {"severity": "critical", "trigger": 90.0, "clear": None}
    (event,) = alert.timeline.all()
    assert (event.kind, event.value, event.severity, event.event_time) == ("opened", 82.5, Severity.WARNING, at(60.25))
    assert event.text == "Opened as warning: temperature was 82.5 °C, above 70 °C."
    assert event.unrouted


def test_times_keep_their_microseconds() -> None:
    alert = Pair.make().opened(0.000001).record()
    assert alert.opened_at == at(0.000001)


def test_severity_moves_within_the_one_alert_and_the_highest_is_remembered() -> None:
    pair = Pair.make()
    pair.opened().record()
    raised = pair.raised(10, 95, readings=2, extreme=Extreme(96, "high")).record()
    assert (raised.severity, raised.trigger, raised.extreme) == (Severity.CRITICAL, 90.0, 96.0)
    alert = pair.lowered(20, 80).record()
    assert (alert.severity, alert.highest_severity, alert.trigger) == (Severity.WARNING, Severity.CRITICAL, 70.0)
    assert timeline(alert) == ["opened", "raised", "lowered"]
    assert [event.unrouted for event in alert.timeline.all()] == [True, True, False]


def test_the_data_clears_it_at_the_event_time_of_the_reading() -> None:
    pair = Pair.make()
    pair.opened().record()
    alert = pair.cleared(90, 60).record()
    assert (alert.state, alert.ended_at, alert.end_reason, alert.value) == ("cleared", at(90), "", 60.0)
    assert alert.timeline.last().text == "Cleared: temperature was 60 °C after 1 min 30 s."
    assert alert.timeline.last().unrouted


def test_an_acknowledged_alert_clears_too() -> None:
    pair = Pair.make()
    alert = pair.opened().record()
    Alert.objects.filter(pk=alert.pk).update(state=Alert.State.ACKNOWLEDGED)
    assert pair.raised(5).record().state == "acknowledged"
    assert pair.cleared(9).record().state == "cleared"


def test_a_whole_life_and_the_next_in_one_drain() -> None:
    pair = Pair.make()
    pair.opened(0).raised(10).cleared(20, 60, Severity.CRITICAL).opened(30).cleared(40).opened(50, 85)
    pair.progress(60, 88, Extreme(89, "high"), 4).record()
    first, second, third = pair.alerts()
    assert (first.state, first.highest_severity, first.ended_at) == ("cleared", Severity.CRITICAL, at(20))
    assert (second.state, second.opened_at, second.ended_at) == ("cleared", at(30), at(40))
    assert (third.state, third.value, third.extreme, third.readings) == ("open", 88.0, 89.0, 4)
    assert timeline(first) == ["opened", "raised", "cleared"]


def test_the_live_alert_ends_and_the_next_opens_in_one_drain() -> None:
    pair = Pair.make()
    pair.opened(0).record()
    pair.cleared(10).opened(20).record()
    assert [alert.state for alert in pair.alerts()] == ["cleared", "open"]


def test_a_second_opening_of_a_live_pair_is_refused_and_nothing_is_written() -> None:
    pair, other = Pair.make(), Pair.make()
    pair.opened(0).record()
    with pytest.raises(OpenedTwice):
        record_all(other.opened(5), pair.opened(10))
    assert Alert.objects.count() == 1


def test_no_plan_is_kept_that_finds_alerts_as_if_there_were_few() -> None:
    """Made for an empty table it would read all live alerts for each pair, until the table is analysed in the midst of a storm."""
    pair = Pair.make()
    pair.opened(0).record()
    with connect(autocommit=True) as connection:
        for second in range(1, 12):
            found = judged_of(pair.raised(second) if second % 2 else pair.lowered(second, 80))
            steps = judged_of(Pair.make().progress(second, 88))
            with connection.transaction():
                record(connection, found)
                record(connection, steps)
        kept = [statement for (statement,) in connection.execute("SELECT statement FROM pg_prepared_statements")]
    assert any("alerts_alertevent" in statement for statement in kept), "what does not look for alerts stays prepared"
    assert not [each for each in kept if "FROM alerts_alert l" in each or "UPDATE alerts_alert a" in each]


@pytest.mark.parametrize("by_index", [True, False])
def test_foreign_keys_are_not_looked_up_by_reading_all_alerts(by_index: bool) -> None:
    """The server keeps a plan for each of them as long as the connection lives: of a table that was small, a bad one."""
    Pair.make().opened(0).record()
    with connect(autocommit=True) as other:
        other.execute("VACUUM ANALYZE alerts_alert, alerts_alertevent")
    with connect(autocommit=True) as drains, drains.transaction():
        if by_index:  # as in a drain
            drains.execute("SET LOCAL enable_seqscan = off")
        for _ in range(12):
            record(drains, judged_of(Pair.make().opened(0)))
        query = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'alerts_alert'"
        drains.execute("SET CONSTRAINTS ALL IMMEDIATE")
        (scans,) = drains.execute(query).fetchone() or (None,)
    assert (scans == 0) is by_index, "where it is not so, nothing needs to be said of it"


def test_what_raises_undoes_all_of_the_drain() -> None:
    found = judged_of(Pair.make().opened(0))
    with connect(autocommit=True) as connection:
        with pytest.raises(psycopg.Error), connection.transaction():
            record(connection, found)
            connection.execute("SELECT 1/0")
        assert Alert.objects.count() == 0


@pytest.mark.parametrize(
    ("sense", "first", "second", "furthest"),
    [("high", 80, 75, 80), ("low", 10, 5, 5), ("far", 90, 2, 2), ("latest", 1, 0, 0)],
)
@pytest.mark.parametrize("with_change", [False, True])
def test_the_extreme_is_the_value_furthest_from_safe(
    sense: str, first: float, second: float, furthest: float, with_change: bool
) -> None:
    pair = Pair.make()
    pair.opened(0, first, extreme=Extreme(first, sense, 50.0), readings=1).record()  # type: ignore[arg-type]
    if with_change:
        pair.raised(1, second, extreme=Extreme(second, sense, 50.0), readings=1)  # type: ignore[arg-type]
    else:
        pair.progress(1, second, Extreme(second, sense, 50.0), 1)  # type: ignore[arg-type]
    alert = pair.record()
    assert (alert.extreme, alert.readings, alert.value) == (furthest, 2, second)
    less = pair.progress(2, 50.0, None, 0).record()
    assert (less.extreme, less.readings, less.value) == (furthest, 2, 50.0)


def test_progress_of_a_pair_without_an_alert_changes_nothing() -> None:
    pair = Pair.make()
    pair.opened(0).record()
    ended = pair.cleared(5).record()
    record_all(pair.progress(6, 99, Extreme(99, "high"), 1))
    assert pair.alerts()[0].value == ended.value


def test_having_caught_up_once_is_enough() -> None:
    pair = Pair.make()
    assert not pair.opened(0, caught_up=False).record().caught_up
    assert pair.progress(1, 80, caught_up=True).record().caught_up
    assert pair.progress(2, 80, caught_up=False).record().caught_up


def test_an_import_opens_alerts_that_never_count_as_caught_up() -> None:
    pair = Pair.make()
    alert = pair.opened(0, imported=True, caught_up=True).record()
    assert (alert.imported, alert.caught_up) == (True, False)
    assert not pair.raised(1, caught_up=True).record().caught_up
    assert not pair.progress(2, 80, caught_up=True).record().caught_up


@pytest.mark.parametrize("reason", ["threshold removed", "level removed", "device disabled", "device deleted"])
def test_what_no_reading_will_close_is_ended_with_its_reason(reason: str) -> None:
    pair = Pair.make()
    pair.opened(0).record()
    alert = pair.ended(reason).record()
    assert (alert.state, alert.end_reason) == ("cleared", reason)
    assert abs(alert.ended_at - datetime.now(UTC)) < timedelta(seconds=30)
    event = alert.timeline.last()
    assert (event.kind, event.unrouted, event.event_time) == ("cleared", True, None)
    assert event.text.startswith("Ended: the ")


def test_a_level_that_is_removed_makes_way_for_another_alert() -> None:
    pair = Pair.make()
    pair.opened(0).record()
    pair.ended("level removed").opened(10, severity=Severity.CRITICAL).record()
    assert [alert.state for alert in pair.alerts()] == ["cleared", "open"]


def test_a_lowered_alert_whose_level_was_removed_has_no_value() -> None:
    pair = Pair.make()
    pair.opened(0, 95, Severity.CRITICAL).record()
    alert = pair.change("lowered", 10, None, Severity.WARNING).record()  # type: ignore[arg-type]
    assert (alert.severity, alert.value) == (Severity.WARNING, 95.0)
    assert alert.timeline.last().text == "Lowered to warning: the level that it stood at was removed."


def test_ending_what_is_not_open_is_no_error() -> None:
    pair = Pair.make()
    record_all(pair.ended())
    assert pair.alerts() == []


def test_flapping_is_marked_and_routed() -> None:
    pair = Pair.make()
    alert = pair.opened(0).flapping(0).record()
    assert alert.flapping
    assert [(event.kind, event.unrouted) for event in alert.timeline.all()] == [("opened", True), ("flapping", True)]


def test_changes_without_an_alert_are_left_out() -> None:
    pair = Pair.make()
    record_all(pair.raised(5))
    assert pair.alerts() == []


def test_readings_of_a_deleted_device_open_nothing() -> None:
    pair, other = Pair.make(), Pair.make()
    pair.opened(0)
    found = judged_of(pair, other.opened(0))
    delete_device(Series.objects.get(pk=pair.series.pk).device)
    with connect(autocommit=True) as connection, connection.transaction():
        record(connection, found)
    assert [alert.series_id for alert in Alert.objects.all()] == [other.series.pk]


def test_history_outlives_its_threshold_and_its_device() -> None:
    pair = Pair.make(make_device("pump-9", type=make_type()))
    pair.opened(0).record()
    pair.cleared(5).record()
    device = pair.series.device
    pair.threshold.delete()
    delete_device(device)
    (alert,) = Alert.objects.all()
    assert (alert.threshold_name, alert.device_name, timeline(alert)) == (
        *("Bearing hot", "pump-9", ["opened", "cleared"]),
    )


def test_the_words_name_how_long_it_held_and_how_often() -> None:
    pair = Pair.make(for_seconds=300, consecutive=3)
    assert pair.opened(0, 82).record().timeline.get().text == (
        "Opened as warning: temperature was 82 °C, above 70 °C for 5 min, 3 readings in a row."
    )


def test_silence_and_switches_read_as_such() -> None:
    silent = Pair.make(condition=Condition.SILENT)
    silent.opened(0, 612, trigger=600.0).record()
    texts = [event.text for event in silent.cleared(60, 672).record().timeline.all()]
    assert texts == [
        "Opened as warning: temperature was silent for 10 min 12 s.",
        "Cleared: temperature was heard again after 1 min.",
    ]
    switch = Pair.make(metric="running", condition=Condition.EQUAL)
    Series.objects.filter(pk=switch.series.pk).update(boolean=True)
    alert = switch.opened(0, 1, trigger=1.0).record()
    assert alert.timeline.get().text == "Opened as warning: running was on, equal to on."
    texts = [event.text for event in switch.cleared(60, 0).record().timeline.all()]
    assert texts[-1] == "Cleared: running was off after 1 min."


def test_names_with_quotes_and_braces_are_kept() -> None:
    name = "pump '7' \"x\" {1, 2} \\ None NULL é ☃"
    alert = Pair.make(make_device(name, type=make_type())).opened().record()
    assert alert.device_name == name

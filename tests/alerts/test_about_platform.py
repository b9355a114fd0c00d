"""The platform's alerts about itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts import actions
from alerts.about_platform import Trouble, check, left_unjudged, over, report
from alerts.explain import explain
from alerts.models import Alert
from telemetry.database import connect
from telemetry.models import RollupState, ShardPosition
from tests.alerts.changes import timeline
from tests.alerts.operators import operator, operator_api
from tests.alerts.test_actions import at_once

pytestmark = pytest.mark.usefixtures("platform_db")


def fall_behind(shard: int = 1) -> None:
    ShardPosition.objects.filter(shard=shard).update(stored="5-0", stored_offset=1200)


def catch_up(shard: int = 1) -> None:
    ShardPosition.objects.filter(shard=shard).update(judged="5-0", judged_offset=1200)


def test_judging_that_lags_behind_is_an_alert_until_it_has_caught_up() -> None:
    check()
    assert not Alert.objects.exists()
    fall_behind()
    check()
    check()
    (alert,) = Alert.objects.all()
    assert (alert.threshold_name, alert.device_name, alert.metric) == (
        *("Judging is behind", "the platform", "judging of shard 1"),
    )
    assert (alert.state, alert.readings, alert.get_severity_display()) == ("open", 2, "critical")
    assert alert.timeline.get().unrouted
    assert "1,200 bytes" in explain(alert).text
    catch_up()
    check()
    alert.refresh_from_db()
    assert (alert.state, timeline(alert)) == ("cleared", ["opened", "cleared"])


def test_one_that_was_resolved_comes_back_only_after_it_was_over() -> None:
    fall_behind()
    check()
    assert actions.resolve([Alert.objects.get().pk], operator()).changed
    check()
    assert Alert.objects.count() == 1
    catch_up()
    check()
    fall_behind()
    ShardPosition.objects.filter(shard=1).update(stored="6-0")
    check()
    assert Alert.objects.count() == 2


def test_what_happens_once_is_told_each_time_until_a_person_resolves_it() -> None:
    for times in range(2):
        with connect(autocommit=True) as drain:
            for _ in range(3):
                with drain.transaction():
                    left_unjudged(drain, 1, 4200)
        check()
        alert = Alert.objects.latest("id")
        assert (alert.state, alert.readings, timeline(alert)) == ("open", 3, ["opened"])
        assert "about 4,200 stored readings" in explain(alert).text
        assert actions.resolve([alert.pk], operator()).changed
        assert Alert.objects.count() == times + 1


def test_two_processes_that_find_it_at_once_open_one_alert() -> None:
    def find(place: int) -> int | None:
        with connect(autocommit=True) as connection, connection.transaction():
            return report(connection, Trouble.JUDGING_BEHIND, place, "It lags.")

    for place in range(5):
        opened = at_once(*[lambda: find(place)] * 4)  # noqa: B023
        assert sum(alert is not None for alert in opened) == 1
        assert timeline(Alert.objects.latest("id")) == ["opened"]


def test_it_stands_in_the_inbox_with_the_others() -> None:
    fall_behind()
    check(timezone.now() - timedelta(hours=1))
    api = operator_api()
    (alert,) = api.get("alerts", state="open", threshold=0).body["results"]
    assert (alert["device"], alert["trigger"], alert["unit"]) == ("the platform", None, "")
    assert api.post(f"alerts/{alert['id']}/acknowledge").status == 200
    assert over(Trouble.JUDGING_BEHIND, 1)
    assert not over(Trouble.JUDGING_BEHIND, 1)


def test_rollups_that_stand_still_are_an_alert_until_they_are_fresh() -> None:
    now = timezone.now()
    RollupState.objects.update(rolled_upto=now - timedelta(minutes=2))
    check()
    assert not Alert.objects.exists()
    RollupState.objects.update(rolled_upto=now - timedelta(hours=1))
    check()
    check()
    alert = Alert.objects.get()
    assert (alert.threshold_name, alert.device_name, alert.state) == ("Rollups are behind", "the platform", "open")
    RollupState.objects.update(rolled_upto=now - timedelta(minutes=1))
    check()
    alert.refresh_from_db()
    assert alert.state == "cleared"


def test_hours_that_are_never_finished_are_an_alert_too() -> None:
    now = timezone.now()
    RollupState.objects.update(rolled_upto=now - timedelta(minutes=2), refreshed_at=now - timedelta(hours=1))
    check()
    assert Alert.objects.get().threshold_name == "Rollups are behind"

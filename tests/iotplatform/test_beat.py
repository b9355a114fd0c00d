"""Beat under a clock that is set back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery

from iotplatform import beat

_DAY = timedelta(days=1)


@pytest.fixture
def app() -> Celery:
    app = Celery("beat-test", set_as_current=False)
    app.conf.timezone = "UTC"
    app.conf.beat_schedule = {"sweep": {"task": "sweep", "schedule": 2.0}}
    return app


@pytest.fixture
def scheduler(app: Celery, tmp_path: Path) -> Iterator[beat.SteadyScheduler]:
    made = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    yield made
    made.close()


def last_run(scheduler: beat.SteadyScheduler) -> datetime:
    return scheduler.schedule["sweep"].last_run_at


def run_tomorrow(scheduler: beat.SteadyScheduler) -> None:
    """As it looks to a clock that was set back by a day: the last run, and so the next one, are a day ahead."""
    scheduler.schedule["sweep"].last_run_at = datetime.now(UTC) + _DAY


def test_a_clock_set_back_by_a_day_delays_a_sweep_by_no_more_than_its_interval(
    scheduler: beat.SteadyScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_tomorrow(scheduler)
    scheduler._heap = None
    scheduler.tick()
    assert last_run(scheduler) > datetime.now(UTC)  # nothing was noticed, for the clock did not move
    before = beat._wall_beyond_monotonic()
    monkeypatch.setattr(beat, "_wall_beyond_monotonic", lambda: before - _DAY.total_seconds())
    scheduler.tick()
    assert last_run(scheduler) <= datetime.now(UTC)
    assert min(event.time for event in scheduler._heap) - datetime.now(UTC).timestamp() <= 3


def test_a_schedule_kept_from_a_clock_that_was_ahead_does_not_hold_up_a_start(
    app: Celery, scheduler: beat.SteadyScheduler, tmp_path: Path
) -> None:
    run_tomorrow(scheduler)
    scheduler.close()
    again = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    assert last_run(again) <= datetime.now(UTC)
    again.close()


def test_it_looks_at_the_clock_every_few_seconds(scheduler: beat.SteadyScheduler) -> None:
    assert scheduler.tick() <= scheduler.max_interval <= 2

"""Beat sends what is due by a clock that nobody sets."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from iotplatform import beat
from iotplatform.env import BASE_DIR
from iotplatform.launcher import processes


class Clock:
    """Time as a scheduler sees it, and what it sent when."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.now = 5_000.0
        self.wall = 1_800_000_000.0
        self.sent: list[tuple[float, str]] = []
        patched.setattr(beat, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.wall))

    def run(self, scheduler: beat.SteadyScheduler, seconds: float) -> list[tuple[float, str]]:
        """What is sent in that time: (seconds since its begin, entry)."""
        began, self.sent = self.now, []
        while self.now < began + seconds:
            self.now += max(0.001, scheduler.tick())
        return [(round(at - began), name) for at, name in self.sent]


@pytest.fixture
def clock() -> Iterator[Clock]:
    with pytest.MonkeyPatch.context() as patched:
        yield Clock(patched)


@pytest.fixture
def app() -> Celery:
    app = Celery("beat-test", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {
        "sweep": {"task": "sweep", "schedule": 2.0},
        "prune": {"task": "prune", "schedule": 5.0, "args": [7], "options": {"expires": 5.0}},
    }
    return app


@pytest.fixture
def scheduler(app: Celery, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> beat.SteadyScheduler:
    made = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    monkeypatch.setattr(made, "apply_entry", lambda entry, producer: clock.sent.append((clock.now, entry.name)))
    return made


def test_each_entry_is_sent_when_its_interval_is_over(scheduler: beat.SteadyScheduler, clock: Clock) -> None:
    sent = clock.run(scheduler, 10.5)
    assert [at for at, name in sent if name == "sweep"] == [2, 4, 6, 8, 10]
    assert [at for at, name in sent if name == "prune"] == [5, 10]


def test_a_clock_set_back_by_a_day_delays_nothing(scheduler: beat.SteadyScheduler, clock: Clock) -> None:
    clock.run(scheduler, 3)
    clock.wall -= 86_400
    assert [name for _, name in clock.run(scheduler, 2)] == ["sweep", "prune"]


def test_what_was_missed_is_sent_once(scheduler: beat.SteadyScheduler, clock: Clock) -> None:
    """A machine that stood still, or a broker that hung."""
    clock.now += 1_000
    assert sorted(clock.run(scheduler, 1.5)) == [(0, "prune"), (0, "sweep")]
    assert [name for _, name in clock.run(scheduler, 4)].count("sweep") == 2


def test_what_a_start_finds_in_its_file_does_not_matter(app: Celery, clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "schedule").write_bytes(b"\x00 of another release")
    assert beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule")).tick() == 2


def test_an_entry_is_sent_with_its_arguments_and_options(app: Celery, tmp_path: Path, monkeypatch) -> None:
    sent = []
    scheduler = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    monkeypatch.setattr(scheduler, "send_task", lambda *args, **options: sent.append((args, options)))
    scheduler._due = [(time.monotonic(), 5.0, "prune")]
    assert scheduler.tick() == 0
    [(args, options)] = sent
    assert (args[0], list(args[1]), options["expires"]) == ("prune", [7], 5.0)


def test_its_sign_of_life_is_renewed(scheduler: beat.SteadyScheduler, clock: Clock, tmp_path: Path) -> None:
    sign = tmp_path / "schedule"
    scheduler.tick()
    sign.unlink()
    clock.run(scheduler, 5)
    assert not sign.exists()
    clock.run(scheduler, 10)
    assert sign.exists()


def test_it_goes_on_where_its_sign_of_life_cannot_be_written(app: Celery, clock: Clock, tmp_path: Path, caplog) -> None:
    scheduler = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "gone" / "schedule"))
    assert scheduler.tick() == 2
    assert "cannot be written" in caplog.text


def test_all_that_the_platform_schedules_has_an_interval(tmp_path: Path) -> None:
    from iotplatform.celery import app
    from iotplatform.tasks import beat_schedule

    app.finalize()
    scheduler = beat.SteadyScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    assert {name: interval for _, interval, name in scheduler._due} == {
        name: entry["schedule"] for name, entry in beat_schedule().items()
    }


def test_a_container_is_well_while_beat_ticks(app: Celery, tmp_path: Path, monkeypatch) -> None:
    health = _health(tmp_path, monkeypatch)
    assert health.beat() != ""
    argv = processes.beat(health.config).argv
    scheduler = beat.SteadyScheduler(app, schedule_filename=argv[argv.index("--schedule") + 1])
    scheduler.tick()
    assert health.beat() == ""


def _health(run_dir: Path, patched: pytest.MonkeyPatch) -> Any:
    """deploy/health.py with a run directory of its own."""
    spec = importlib.util.spec_from_file_location("health", BASE_DIR / "deploy" / "health.py")
    assert spec and spec.loader
    health = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(health)
    patched.setattr(health, "config", dataclasses.replace(health.config, run_dir=run_dir))
    return health

"""Each period once, whoever is killed; what fails is tried again, with pauses, and not for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from iotplatform.env import BASE_DIR
from telemetry import measures
from telemetry.database import connect
from telemetry.exports import edit, perform, queue, worker
from telemetry.exports.failures import LeaseLost
from telemetry.exports.plan import plan_due
from telemetry.exports.prune import prune
from telemetry.models import Device, DeviceGroup, DeviceSight, ExportRun, ScheduledExport
from tests.builders import wait_until
from tests.telemetry.api.conftest import person
from tests.telemetry.exports.conftest import HOURLY, MAY_EXPORT, PERIOD, fill, made, make_export

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def due(export: ScheduledExport, on: date, at: datetime) -> None:
    ScheduledExport.objects.filter(pk=export.pk).update(next_on=on, next_at=at)


def days_of(export: ScheduledExport) -> list[str]:
    return [f"{start:%m-%d}" for start in export.runs.order_by("period_start").values_list("period_start", flat=True)]


def test_what_was_missed_is_made_up_for_each_day_once(ann: Any) -> None:
    export = make_export(ann)
    due(export, date(2026, 3, 7), datetime(2026, 3, 7, 6, tzinfo=UTC))
    assert plan_due(NOON) == 4
    assert plan_due(NOON) == 0
    assert days_of(export) == ["03-06", "03-07", "03-08", "03-09"]
    export.refresh_from_db()
    assert export.next_at == datetime(2026, 3, 11, 6, tzinfo=UTC)


def test_what_passed_while_it_was_off_is_not(ann: Any) -> None:
    export = make_export(ann, enabled=False)
    assert export.next_at is None
    assert plan_due(NOON) == 0
    edit.change(export, ann, {"enabled": True})
    export.refresh_from_db()
    assert timezone.now() < export.next_at < timezone.now() + timedelta(days=1)
    assert not export.runs.exists()


def test_a_later_hour_of_the_same_day_does_not_make_the_period_again(ann: Any) -> None:
    export = make_export(ann)
    due(export, date(2026, 3, 10), datetime(2026, 3, 10, 6, tzinfo=UTC))
    plan_due(NOON)
    due(export, date(2026, 3, 10), datetime(2026, 3, 10, 11, tzinfo=UTC))
    plan_due(NOON)
    assert days_of(export) == ["03-09"]


def test_what_was_due_is_planned_before_the_schedule_changes(ann: Any) -> None:
    export = make_export(ann)
    yesterday = timezone.now() - timedelta(hours=1)
    due(export, yesterday.date(), yesterday)
    edit.change(export, ann, {"zone": "Asia/Kolkata"})
    assert export.runs.count() == 1


def test_a_run_that_killed_its_worker_is_made_after_its_lease_and_given_up_in_the_end(ann: Any, later: Any) -> None:
    export = make_export(ann)
    edit.run_now(export, ann, PERIOD)
    first = queue.claim()
    assert first is not None
    assert queue.claim() is None, "somebody is at it"
    later()
    second = queue.claim()
    assert second is not None
    assert (second.pk, second.attempts) == (first.pk, 2)
    with pytest.raises(LeaseLost):
        queue.keep(first)
    perform.perform(first)  # the slow one finishes after all: what it says counts no more
    assert ExportRun.objects.get().state == "running"
    for _ in range(queue.ATTEMPTS - 2):
        later()
        assert queue.claim() is not None
    later()
    assert queue.claim() is None
    run = ExportRun.objects.get()
    assert (run.state, run.attempts) == ("given_up", queue.ATTEMPTS)
    assert "Its worker ended in the middle" in run.error


def test_failures_are_tried_again_with_pauses_that_grow_and_counted(ann: Any, exports_folder: Any, later: Any) -> None:
    exports_folder.write_text("")
    before = measures.exports_failed.labels(outcome="given_up")._value.get()
    run = made(make_export(ann))
    pauses = []
    while run.state == "failed":
        pauses.append(round((run.due_at - run.finished_at).total_seconds() / 60))
        later()
        worker.work()
        run.refresh_from_db()
    assert pauses == [1, 4, 16, 60]
    assert (run.state, run.attempts) == ("given_up", 5)
    assert measures.exports_failed.labels(outcome="given_up")._value.get() == before + 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda ann: type(ann).objects.filter(pk=ann.pk).update(is_active=False), "ann, who saved this query, is disabled."),
        (lambda ann: ann.user_permissions.clear(), "may not look at devices or exports any more"),
        (lambda ann: ann.delete(), "was deleted"),
        (lambda ann: DeviceSight.objects.create(user=ann).groups.add(DeviceGroup.objects.get(path="plant/hall-1")),
         "There is no device 'pump-8'."),
        (lambda ann: Device.objects.filter(name="pump-8").update(name="pump-9"), "There is no device 'pump-8'."),
    ],
)  # fmt: skip
def test_it_is_made_with_the_rights_that_its_owner_has_now(
    ann: Any, exports_folder: Any, change: Any, why: str
) -> None:
    export = make_export(ann)
    edit.run_now(export, ann, PERIOD)
    change(ann)
    worker.work()
    run = ExportRun.objects.get()
    assert run.state == "given_up"
    assert why in run.error
    assert not list(exports_folder.rglob("*.csv"))


def test_of_a_group_there_is_what_its_owner_sees(plant: Any, exports_folder: Any) -> None:
    hall = person("hall", *MAY_EXPORT)
    DeviceSight.objects.create(user=hall).groups.add(DeviceGroup.objects.get(path="plant/hall-1"))
    run = made(make_export(hall, "group=plant/hall-1&per=device&metric=temperature&bucket=1d"))
    assert "pump-7" in (exports_folder / run.location).read_text()
    assert run.devices == [Device.objects.get(name="pump-7").pk]


def test_files_go_when_their_time_is_over_and_periods_are_remembered(
    ann: Any, exports_folder: Any, settings: Any
) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, export_keep_days=30)
    export = make_export(ann)
    due(export, date(2026, 3, 2), datetime(2026, 3, 2, 6, tzinfo=UTC))
    ScheduledExport.objects.filter(pk=export.pk).update(enabled=True)
    plan_due(datetime(2026, 3, 2, 7, tzinfo=UTC))
    worker.work()
    made(export)
    assert len(list(exports_folder.rglob("*.csv"))) == 2
    assert prune() == 0
    assert prune(timezone.now() + timedelta(days=31)) == 2
    assert not list(exports_folder.rglob("*.csv"))
    run = ExportRun.objects.get()
    assert run.scheduled
    assert run.removed_at is not None
    due(export, date(2026, 3, 2), datetime(2026, 3, 2, 6, tzinfo=UTC))
    plan_due(datetime(2026, 3, 2, 7, tzinfo=UTC))
    assert ExportRun.objects.count() == 1


def test_a_file_without_end_may_not_wait_in_numbers(ann: Any) -> None:
    export = make_export(ann)
    for _ in range(edit.MOST_WAITING):
        edit.run_now(export, ann)
    with pytest.raises(edit.TooManyRuns):
        edit.run_now(export, ann)


# --- with transactions of their own ---------------------------------------------------------------------------------


@pytest.fixture
def owner(platform_db: None, exports_folder: Any) -> Any:
    with connect(autocommit=True) as own:
        fill(own)
    return person("ann", *MAY_EXPORT)


def test_two_workers_make_each_period_once(owner: Any, exports_folder: Any) -> None:
    export = make_export(owner)
    due(export, date(2026, 3, 2), datetime(2026, 3, 2, 6, tzinfo=UTC))
    barrier = threading.Barrier(2)
    now = datetime(2026, 3, 5, 12, tzinfo=UTC)

    def look() -> None:
        try:
            barrier.wait(10)
            plan_due(now)
            worker.work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    worker.work()
    assert days_of(export) == ["03-01", "03-02", "03-03", "03-04"]
    assert set(export.runs.values_list("state", "attempts")) == {("done", 1)}
    assert len(list(exports_folder.rglob("*.csv"))) == 4


def test_a_worker_killed_in_the_middle_leaves_no_half_file_and_the_next_one_makes_it(
    owner: Any, exports_folder: Any, later: Any
) -> None:
    export = make_export(owner, HOURLY)
    edit.run_now(export, owner, PERIOD)
    # In a process of its own, that stops once something is written.
    script = textwrap.dedent(f"""
        import os, signal, dataclasses
        os.environ["DJANGO_SETTINGS_MODULE"] = "iotplatform.settings"
        import django; django.setup()
        from django.conf import settings
        settings.PLATFORM = dataclasses.replace(settings.PLATFORM, export_folder={str(exports_folder)!r}, query_max_points=30)
        settings.DATABASES["default"]["NAME"] = {connection.settings_dict["NAME"]!r}
        from telemetry.exports import files, worker
        write = files.CsvFile.write
        def halfway(self, answer):
            write(self, answer)
            self._file.flush()
            print("written", flush=True)
            signal.pause()
        files.CsvFile.write = halfway
        worker.work()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=BASE_DIR, env=os.environ, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
    assert ExportRun.objects.get().state == "running"
    left = [path for path in exports_folder.rglob("*") if path.is_file()]
    assert [path.parent.name for path in left] == [".unfinished"]
    later()
    worker.work()
    run = ExportRun.objects.get()
    assert (run.state, run.attempts, run.rows) == ("done", 2, 48)
    assert [path for path in exports_folder.rglob("*") if path.is_file()] == [exports_folder / run.location]


def test_the_task_makes_what_is_due_in_a_thread_of_its_own(owner: Any, exports_folder: Any) -> None:
    from iotplatform.tasks import make_exports

    export = make_export(owner)
    edit.run_now(export, owner, PERIOD)
    make_exports()
    wait_until(lambda: export.runs.get().state == "done", 10)
    assert worker.worker.wait(10)
    assert (exports_folder / export.runs.get().location).stat().st_size == export.runs.get().bytes

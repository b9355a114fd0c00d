"""What Celery's workers and beat do, by task."""

from __future__ import annotations

import time
from typing import Any

from celery import Celery, Task
from celery.signals import task_failure, task_postrun, task_prerun, task_revoked
from prometheus_client import Gauge, Histogram

from telemetry.measures import counted_by

__all__ = ["beat_last_tick", "observe", "task_failures", "task_seconds", "tasks_expired"]

task_seconds = Histogram(
    "iot_task_seconds",
    "Time of one run of a task, failed ones included; its count is how many ran.",
    ["task"],
    buckets=(0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0),
)
task_failures = counted_by("iot_task_failures", "Runs of a task that ended with an exception.", "task", ())
tasks_expired = counted_by(
    "iot_tasks_expired",
    "Orders of beat that waited longer than their interval and were dropped, by task: the worker is too busy.",
    *("task", ()),
)
beat_last_tick = Gauge(
    "iot_beat_last_tick_timestamp_seconds",
    "When beat last looked at its schedule, since 1970; missing where no beat lives.",
    multiprocess_mode="livemax",
)


def observe(app: Celery) -> None:
    """Count the tasks of this worker and of what it forks, each from 0."""
    for name in app.tasks:
        if not name.startswith("celery."):
            for metric in (task_seconds, task_failures, tasks_expired):
                metric.labels(name)
    # Not weak: nobody else keeps these functions' names.
    task_prerun.connect(_began, weak=False)
    task_postrun.connect(_ended, weak=False)
    task_failure.connect(_failed, weak=False)
    task_revoked.connect(_revoked, weak=False)


def _began(task: Task, **_: Any) -> None:
    task.request.iot_began = time.perf_counter()


def _ended(task: Task, **_: Any) -> None:
    began = getattr(task.request, "iot_began", None)
    if began is not None:
        task_seconds.labels(task.name).observe(time.perf_counter() - began)


def _failed(sender: Task, **_: Any) -> None:
    task_failures.labels(sender.name).inc()


def _revoked(sender: Task, expired: bool, **_: Any) -> None:
    if expired:
        tasks_expired.labels(sender.name).inc()

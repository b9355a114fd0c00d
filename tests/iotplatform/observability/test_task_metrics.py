"""Celery's tasks are counted by name: how often, how long, how many failed, how many came too late."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery import Celery, Task
from celery.app.trace import build_tracer
from celery.signals import task_failure, task_postrun, task_prerun, task_revoked
from prometheus_client import REGISTRY

from iotplatform.observability import task_metrics


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    app = Celery("counted", set_as_current=False, broker="memory://")
    app.conf.task_ignore_result = True

    @app.task(name="measured.well")
    def well() -> None:
        return None

    @app.task(name="measured.failing")
    def failing() -> None:
        raise ValueError("on purpose")

    task_metrics.observe(app)
    yield app
    for signal, receiver in (
        (task_prerun, task_metrics._began),
        (task_postrun, task_metrics._ended),
        (task_failure, task_metrics._failed),
        (task_revoked, task_metrics._revoked),
    ):
        signal.disconnect(receiver)


def sample(name: str, task: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"task": task})


def run(app: Celery, name: str) -> None:
    """As a worker runs it."""
    task: Task = app.tasks[name]
    build_tracer(name, task, app=app)(f"id-of-{name}", [], {}, {})


def test_every_task_is_there_before_it_ran(app: Celery) -> None:
    for name in ("iot_task_seconds_count", "iot_task_failures_total", "iot_tasks_expired_total"):
        assert sample(name, "measured.well") is not None, name
        assert sample(name, "celery.chord") is None, name


def test_runs_and_failures_are_counted_by_task(app: Celery) -> None:
    before = [sample("iot_task_seconds_count", f"measured.{name}") or 0.0 for name in ("well", "failing")]
    failed = [sample("iot_task_failures_total", f"measured.{name}") or 0.0 for name in ("well", "failing")]
    run(app, "measured.well")
    run(app, "measured.failing")
    assert [sample("iot_task_seconds_count", f"measured.{name}") for name in ("well", "failing")] == [
        before[0] + 1,
        before[1] + 1,
    ]
    assert [sample("iot_task_failures_total", f"measured.{name}") for name in ("well", "failing")] == [
        failed[0],
        failed[1] + 1,
    ]


def test_an_order_that_waited_too_long_is_counted_and_one_that_was_recalled_is_not(app: Celery) -> None:
    before = sample("iot_tasks_expired_total", "measured.well") or 0.0
    for expired in (True, False):
        task_revoked.send(
            sender=app.tasks["measured.well"], request=SimpleNamespace(), terminated=False, signum=None, expired=expired
        )
    assert sample("iot_tasks_expired_total", "measured.well") == before + 1

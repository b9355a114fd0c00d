"""What is no task message ends no worker, and holds up no queue."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker

from iotplatform import broker
from iotplatform.celery import app as platform_app
from iotplatform.celery import broker_url
from tests.faults.rubbish import rubbish, task_message
from tests.servers import servers

_PREFIX = "test-broker:"


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def app(ran: list[int]) -> Celery:
    """As the platform's own, but with tasks of its own in a queue of its own."""
    app = Celery("broker-test", broker=broker_url(servers().redis_url), set_as_current=False)
    app.conf.update({name: platform_app.conf[name] for name in ("task_acks_late", "accept_content")})
    app.conf.update(
        broker_transport_options={"global_keyprefix": _PREFIX},
        task_default_queue=f"broker-{uuid.uuid4()}",
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
    )

    @app.task(name="known", shared=False)
    def known() -> None:
        ran.append(-1)

    @app.task(name="other", shared=False)
    def other(number: int) -> None:
        ran.append(int(number))

    return app


@pytest.fixture(params=["solo", "threads"])
def worker(app: Celery, request: pytest.FixtureRequest) -> Iterator[None]:
    """Both pools that the platform uses."""
    with start_worker(app, pool=request.param, concurrency=1, perform_ping_check=False, shutdown_timeout=20):
        yield


def wait_for(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("not within 20 s")


@pytest.mark.usefixtures("worker")
def test_every_message_that_is_no_task_is_passed_over_and_the_tasks_between_them_are_done(
    app: Celery, ran: list[int], redis_client: redis.Redis
) -> None:
    key = f"{_PREFIX}{app.conf.task_default_queue}"
    bad = rubbish("known", "other")
    for number, message in enumerate(bad):
        redis_client.lpush(key, message)
        redis_client.lpush(key, task_message("other", [number]))
    wait_for(lambda: set(range(len(bad))) <= set(ran))
    assert [number for number in ran if number in range(len(bad))] == list(range(len(bad)))
    assert redis_client.llen(key) == 0
    wait_for(lambda: redis_client.hlen(f"{_PREFIX}unacked") == 0)  # none of them comes again, or takes up room


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("worker", ["solo"], indirect=True)
def test_a_message_that_is_set_aside_is_logged_as_it_came(
    app: Celery, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("nothing", '{"of": "another"}'):
        redis_client.lpush(f"{_PREFIX}{app.conf.task_default_queue}", text)
        wait_for(lambda: text in [record.text for record in caplog.records if record.name == "iotplatform.broker"])  # noqa: B023


def test_the_platform_reads_its_queues_so() -> None:
    with platform_app.connection_for_read() as connection:
        assert isinstance(connection.transport, broker.Transport)

"""Fixtures for everything: an empty log, a process whose memory is fresh, and builders of what tests need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection

from telemetry.intake import process as intake_process
from telemetry.models import LogLayout, RollupState, ShardPosition
from telemetry.registry.registry import registry
from telemetry.registry.watch import watch


def pytest_make_parametrize_id(val: Any, argname: str) -> str | None:
    """
    Tests with bytes are named after the argument: bytes may hold the time at which they were made (gzip does), and
    two processes that share the tests (`-n`) must find the same names.
    """
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()) else None


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests with transactions of their own empty every table, the audit trail too: that, and only that, is allowed."""
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            name = connection.ops.quote_name(connection.settings_dict["NAME"])
            cursor.execute(f"ALTER DATABASE {name} SET iotplatform.audit = 'empty'")
        connection.close()
        connection.close_pool()


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """The log server, emptied."""
    client = redis.Redis.from_url(settings.SERVERS["redis_url"])
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def fresh_process(redis_client: redis.Redis) -> Iterator[None]:
    """Intake as in a process that has just started: it remembers neither devices nor keys nor a connection."""
    forget_process()
    yield
    forget_process()


def forget_process() -> None:
    watch.stop()
    intake_process.reset()
    registry.forget(set(), set(), everything=True)


@pytest.fixture
def platform_db(transactional_db: Any, fresh_process: None) -> None:
    """A database as after `migrate`: no reading, no position. Transactions are real, so that drains can be."""
    with connection.cursor() as cursor:
        for table in ("reading", "rollup_minute", "rollup_hour", "rollup_day", "rollupmark"):
            cursor.execute(f"TRUNCATE telemetry_{table}")
    RollupState.objects.all().delete()
    RollupState.objects.create(id=1)
    LogLayout.objects.get_or_create(id=1, defaults={"shards": settings.PLATFORM.shards})
    ShardPosition.objects.all().delete()
    ShardPosition.objects.bulk_create(ShardPosition(shard=shard) for shard in range(settings.PLATFORM.shards))


@pytest.fixture
def drain(platform_db: None) -> Callable[[], int]:
    """Drain every shard until nothing waits, as the workers would; answers how many readings were taken."""
    from tests.builders import drain_all

    return drain_all

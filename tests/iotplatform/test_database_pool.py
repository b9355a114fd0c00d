"""Django's connections to the database, after it was away."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from psycopg_pool import ConnectionPool, PoolTimeout

from iotplatform.launcher.servers import EmbeddedServers
from telemetry.deadline import database_deadline
from tests.builders import wait_until
from tests.faults.wires import wire_to_database

_AWAY_SECONDS = 18.0


def is_served(pool: ConnectionPool) -> bool:
    try:
        with pool.connection(timeout=0.3) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except PoolTimeout:
        return False


@pytest.fixture
def exhausted() -> Iterator[BaseDatabaseWrapper]:
    """Django's connection, not made yet, with a pool whose only connection somebody else has."""
    given = copy.deepcopy(connections["default"].settings_dict)
    given["OPTIONS"]["pool"] = settings.DATABASES["default"]["OPTIONS"]["pool"] | {"max_size": 1}
    # Pools are kept by the name of their database.
    here = ConnectionHandler({"default": given, "exhausted": given})["exhausted"]
    here.pool.open()
    taken = here.pool.getconn()
    yield here
    here.pool.putconn(taken)
    here.close_pool()


def test_nobody_waits_for_a_connection_beyond_the_deadline(exhausted: BaseDatabaseWrapper) -> None:
    began = time.monotonic()
    with database_deadline(0.3), pytest.raises(PoolTimeout):
        exhausted.get_new_connection({})
    assert time.monotonic() - began < 2
    with database_deadline(-1.0), pytest.raises(PoolTimeout):
        exhausted.get_new_connection({})


def test_a_request_waits_for_one_forgotten_connection_at_most() -> None:
    given = copy.deepcopy(connections["default"].settings_dict)
    with wire_to_database(connections["default"].get_connection_params()) as (proxy, through):
        given |= {"HOST": through["host"], "PORT": through["port"]}
        given["OPTIONS"] |= {"sslmode": "disable", "gssencmode": "disable"}
        here = ConnectionHandler({"default": given, "forgotten": given})["forgotten"]
        here.pool.open()
        try:
            several = [here.pool.getconn() for _ in range(6)]
            for one in several:
                here.pool.putconn(one)
            proxy.forsake(answering=True)
            began = time.monotonic()
            with database_deadline(7.0):
                connection = here.get_new_connection({})
                assert connection.execute("SELECT 1").fetchone() == (1,)
            assert time.monotonic() - began < 4
            here.pool.putconn(connection)
        finally:
            here.close_pool()


@pytest.mark.slow
def test_requests_get_connections_soon_after_the_database_is_back() -> None:
    options = settings.DATABASES["default"]["OPTIONS"]["pool"]
    with tempfile.TemporaryDirectory(prefix="pool-", dir="/tmp") as folder:
        servers = EmbeddedServers(Path(folder), log=False, cache=False)
        with servers, ConnectionPool(servers.database_url, **options, open=True) as pool:
            assert is_served(pool)
            pool.check()
            servers.kill("postgres")
            pool.check()
            end = time.monotonic() + _AWAY_SECONDS
            wait_until(lambda: is_served(pool) or time.monotonic() > end, _AWAY_SECONDS + 5, "the outage is over")
            servers.restart("postgres")
            wait_until(lambda: is_served(pool), 3.0, "a connection within 3 s")

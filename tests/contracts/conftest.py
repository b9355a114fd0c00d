"""Which engines, on which servers and with which loader, the storage suite runs over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from telemetry.timeseries.partitions import Partitions
from telemetry.timeseries.timescale import Timescale
from tests.contracts.stores import Store
from tests.contracts.wasm import WasmServer


def _connect() -> psycopg.Connection:
    return psycopg.connect(settings.SERVERS["database_url"], autocommit=True)


def _server_has_timescale() -> bool:
    with _connect() as connection, connection.cursor() as cursor:
        return Timescale.install(cursor)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        kinds = ["partitions-copy", "partitions-unnest", "wasm-unnest"]
        if _server_has_timescale():
            kinds += ["timescale-copy", "timescale-unnest"]
        metafunc.parametrize("store", kinds, indirect=True)


@pytest.fixture(scope="session")
def wasm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    """The one connection to the WebAssembly server."""
    server = WasmServer(Path(tmp_path_factory.mktemp("wasm")))
    with server.connect() as connection:
        yield connection
    server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[psycopg.Connection]:
    """A connection to the server of this run, beside the test database."""
    with _connect() as connection:
        yield connection


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty readings table."""
    engine, _, loader = request.param.partition("-")
    connection = request.getfixturevalue("wasm" if engine == "wasm" else "server")
    made = Store(connection, Partitions() if engine == "partitions" else Timescale(), copy=loader == "copy")
    made.begin()
    yield made
    connection.execute("DROP TABLE telemetry_reading")

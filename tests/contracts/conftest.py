"""Which engines, on which servers and with which loader, the storage suite runs over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.engine import Engine
from telemetry.timeseries.partitions import Partitions
from telemetry.timeseries.timescale import Timescale
from tests.contracts.stores import Store
from tests.contracts.wasm import WasmServer

_ENGINES: dict[str, Callable[[], Engine]] = {
    "partitions": Partitions,
    "timescale": Timescale,
    "columnar": Columnar,
    "wasm": Timescale,
    "wasm_columnar": Columnar,
}


def _connect() -> psycopg.Connection:
    return psycopg.connect(settings.SERVERS["database_url"], autocommit=True)


def _server_has_timescale() -> bool:
    with _connect() as connection, connection.cursor() as cursor:
        return Timescale.install(cursor)


def _server_lands_in_columns() -> bool:
    with _connect() as connection, connection.cursor() as cursor:
        return unsound(cursor) is None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        kinds = ["partitions-copy", "partitions-unnest", "wasm-unnest", "wasm_columnar-unnest"]
        if _server_has_timescale():
            kinds += ["timescale-copy", "timescale-unnest"]
            # As rows, and as columns from so few rows on that one test has both.
            kinds += ["columnar-copy", "columnar-landed"] if _server_lands_in_columns() else []
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
    connection = request.getfixturevalue("wasm" if engine.startswith("wasm") else "server")
    made = Store(
        connection, _ENGINES[engine](), copy=loader != "unnest", columnar_from=2 if loader == "landed" else None
    )
    made.begin()
    yield made
    connection.execute("DROP TABLE telemetry_reading")

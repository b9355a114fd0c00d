"""What a benchmark empties, the platform finds as it left it: without readings, with its ranges."""

from __future__ import annotations

import pytest
from psycopg.conninfo import make_conninfo

from benchmarks.machine.database import Database
from benchmarks.machine.store import Store
from telemetry.database import connect
from telemetry.timeseries.engine import engine_in_use
from tests.telemetry.columnar import NOON, everything, land

pytestmark = pytest.mark.usefixtures("platform_db")


def test_the_ranges_stay_when_the_readings_go() -> None:
    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        land(connection, 100, NOON, columns=False)
        ranges = [(part.start, part.end) for part in engine_in_use(cursor).ranges(cursor)]
        same = make_conninfo(connection.info.dsn, password=connection.info.password)
        with Store(Database(same)) as store:
            store.empty()
            assert store.rows() == 0
        assert ranges
        assert [(part.start, part.end) for part in engine_in_use(cursor).ranges(cursor)] == ranges
        assert everything(connection)[0] == 0

"""Whatever comes in whatever order, with refreshes in between: rollups equal a recomputation from the readings."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.database import connect
from telemetry.intake.batch import Batch
from telemetry.rollups.marks import mark
from telemetry.store.frontier import Frontier
from telemetry.store.loaders import Loader
from telemetry.store.write import write
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from tests.telemetry.rollups.readings import DAY, HOUR, MINUTE, START, assert_rolled_up, refresh_upto

#: Some near each other, some on the edges of buckets, some months apart.
_times = st.one_of(
    st.integers(0, 3 * MINUTE),
    st.integers(0, 2 * DAY),
    st.integers(0, 70 * 24).map(lambda hour: hour * HOUR),
    st.integers(0, 70 * 24).map(lambda hour: hour * HOUR - 1 if hour else 0),
)
_values = st.one_of(
    st.floats(-1e9, 1e9, allow_subnormal=False),
    st.sampled_from([0.0, 1.0, 1e100, -1e100, 1e9 + 0.5]),
    st.integers(0, 20).map(float),
)
_batch = st.lists(st.tuples(st.integers(1, 3), _times, _values), min_size=1, max_size=25)
_steps = st.lists(st.one_of(_batch, st.integers(0, 75 * DAY)), min_size=1, max_size=8)


def store(rows: list[tuple[int, int, float]]) -> None:
    """As a drain does, in one transaction."""
    series, times, values = (np.array(column) for column in zip(*rows, strict=True))
    batch = Batch(series.astype(np.int32), START + times.astype(np.int64), values.astype(np.float64))
    with connect(autocommit=True) as own:
        with own.cursor() as cursor:
            engine = engine_in_use(cursor)
            Coverage(engine, 7).ensure(cursor, batch.times)
        with own.transaction():
            mark(own, write(own, batch, Frontier(), Loader.of(own, engine, "auto", 1)).written)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_steps)
def test_rollups_equal_a_recomputation(platform_db: None, steps: list[Any]) -> None:
    with connection.cursor() as cursor:
        for table in ("reading", "rollup_minute", "rollup_hour", "rollup_day", "rollupmark"):
            cursor.execute(f"DELETE FROM telemetry_{table}")
    for step in steps:
        if isinstance(step, int):
            refresh_upto(START + step)
        else:
            store(step)
    assert refresh_upto(START + 75 * DAY).complete
    assert_rolled_up(START + 75 * DAY)

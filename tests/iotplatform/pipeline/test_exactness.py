"""Whatever is sent, and whichever worker dies wherever in a drain: each reading is stored exactly once, first value first.

With a unique index, and without one, where nothing but the frontier keeps a repeat out.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.log.entries import Append, ordinal
from telemetry.store import positions
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.engine import TABLE, Engine
from tests.iotplatform.pipeline.layouts import Layout, readings_table
from tests.iotplatform.pipeline.mortal import Death, Process, When
from tests.iotplatform.pipeline.parts import NOON, Clock, Row, Source, close_drains, drains_connection, new_drain

DAY = 86_400_000_000
SHARDS = (0, 1)
SERIES_A_SHARD = 2
#: Event time goes on by this from request to request, so that the frontier moves, and through several ranges.
STEP = DAY // 12
END = NOON + 40 * DAY
STEPS_AWAY = (0, -1, 1, -2, -3, -5, 2, None)
REQUESTS = 150
LONG_AGO = 978_307_200_000_000
#: So many round trips to the database make most drains.
TRIPS = 26
SETTLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Send:
    """One request, of both shards. Rows: (place of series, steps before or after the request's own time, value); a time of
    None is long ago."""

    rows: list[tuple[int, int | None, float]]


@dataclass(frozen=True, slots=True)
class Work:
    """One of two processes drains a shard: after each of these requests, or once. In the last drain it dies; before it so
    much time may go by (``late``) that it saves a checkpoint."""

    process: int
    shard: int
    requests: list[Send]
    late: bool
    death: Death | None


@dataclass(frozen=True, slots=True)
class LogLost:
    """The log is lost with all it had, and everything ever sent is sent again, in its order."""


@dataclass(frozen=True, slots=True)
class Compress:
    """Ranges are compressed, and what landed in columns is sorted, where the engine does so."""


Step = Send | Work | LogLost | Compress

ROW = st.tuples(
    st.integers(0, len(SHARDS) * SERIES_A_SHARD - 1),
    st.sampled_from(STEPS_AWAY),
    st.sampled_from([1.0, 2.0, -0.0, 0.0]),
)
SEND = st.builds(Send, st.lists(ROW, min_size=1, max_size=8))
DEATH = st.builds(Death, st.integers(0, TRIPS), st.sampled_from(When), st.booleans())
WORK = st.builds(
    *(Work, st.integers(0, 1), st.sampled_from(SHARDS), st.lists(SEND, max_size=4), st.booleans(), st.none() | DEATH)
)
STEPS = st.one_of([SEND] * 4 + [WORK] * 14 + [st.just(LogLost()), st.just(Compress())])


def streams(*lengths: int) -> st.SearchStrategy[list[Step]]:
    """Of these lengths: left to itself, Hypothesis makes short ones."""
    steps = st.sampled_from(lengths).flatmap(lambda count: st.lists(STEPS, min_size=count, max_size=count))
    return st.builds(lambda first, others: [first, *others], SEND, steps)


@dataclass
class World:
    """A platform with two worker processes, and what it was sent."""

    source: Source
    observer: psycopg.Connection[Any]
    engine: Engine
    sent: list[list[Row]] = field(default_factory=list)

    def play(self, steps: list[Step]) -> None:
        """From an empty platform. Ends when all is stored that was sent."""
        self.begin(len(steps))
        for step in steps:
            match step:
                case Send():
                    self.send(step)
                case LogLost():
                    self.source.log.call(lambda client: client.flushall())
                    for rows in self.sent:
                        self._append(rows)
                case Compress():
                    assert self.compress(SETTLE_SECONDS) <= {"done"}
                case Work():
                    self._work(step)
        self.settle()

    def settle(self) -> None:
        """Until all is stored that was sent."""
        end = time.monotonic() + SETTLE_SECONDS
        while behind := [shard for shard in SHARDS if not self._is_stored(shard)]:
            assert time.monotonic() < end, f"shards {behind} are not stored after {SETTLE_SECONDS} s"
            for shard in behind:
                self.processes[0].drain(shard)

    def rows(self) -> list[tuple[int, int, str]]:
        """What is stored: (series, time in µs, value bit by bit), in order, doubles included."""
        found = self.observer.execute(
            f"SELECT series_id, (extract(epoch FROM time) * 1000000)::bigint, value FROM {TABLE} ORDER BY 1, 2"
        )
        return [(series, at, value.hex()) for series, at, value in found.fetchall()]

    def expected(self) -> list[tuple[int, int, str]]:
        """What a dictionary has in which the first value of a (series, time) stays."""
        table: dict[tuple[int, int], float] = {}
        for rows in self.sent:
            for place, at, value in rows:
                table.setdefault((self.source.series[place], NOON + at), value)
        return sorted((series, at, value.hex()) for (series, at), value in table.items())

    def counted(self) -> int:
        """How many readings the positions say are stored."""
        row = self.observer.execute("SELECT sum(stored_readings) FROM telemetry_shardposition").fetchone()
        assert row is not None
        return int(row[0])

    def repeats(self) -> tuple[int, int]:
        """(duplicates, conflicts) that receipts tell."""
        row = self.observer.execute("SELECT sum(duplicates), sum(conflicts) FROM telemetry_receiptoutcome").fetchone()
        assert row is not None
        return int(row[0] or 0), int(row[1] or 0)

    def expected_repeats(self) -> tuple[int, int]:
        table: dict[tuple[int, int], float] = {}
        rows = list(itertools.chain(*self.sent))
        conflicts = sum(table.setdefault((place, at), value) != value for place, at, value in rows)
        return len(rows) - len(table), conflicts

    # --- inside -------------------------------------------------------------------------------------------------

    def begin(self, deaths: int = 0) -> None:
        """An empty platform, which outlives so many deaths in a row."""
        self.sent.clear()
        close_drains()
        self.source.log.call(lambda client: client.flushall())
        for table in (TABLE, "telemetry_rollupmark"):
            self.observer.execute(f"TRUNCATE {table}")
        for table in ("receiptoutcome", "logsegment", "frontiercheckpoint"):
            self.observer.execute(f"DELETE FROM telemetry_{table}")
        self.observer.execute(
            "UPDATE telemetry_shardposition SET generation = '', segment = '', stored = '0-0', stored_offset = 0, "
            "judged = '0-0', judged_offset = 0, stored_readings = 0"
        )
        self.clock = Clock()
        # So many deaths in a row do not set an entry aside: that is tested elsewhere. Entries are tried alone, though.
        self.options = {"drain_max_rows": 20, "columnar_min_rows": 5, "drain_attempts": 4 + deaths // 2}
        self.processes = [Process(self.clock, **self.options) for _ in range(2)]

    def send(self, request: Send) -> None:
        now = len(self.sent)
        rows = [
            (place, LONG_AGO - NOON if steps is None else (now + steps) * STEP, value)
            for place, steps, value in request.rows
        ]
        self.sent.append(rows)
        self._append(rows)

    def _append(self, rows: list[Row]) -> None:
        entries = []
        for shard in SHARDS:
            own = [row for row in rows if row[0] // SERIES_A_SHARD == shard]
            if own:
                entries.append((shard, self.source.payload(own).encode()))
        self.source.log.append([Append(entries)])

    def _work(self, step: Work) -> None:
        process = self.processes[step.process]
        for request in step.requests[:-1]:
            self.send(request)
            process.drain(step.shard)
        for request in step.requests[-1:]:
            self.send(request)
        self.clock.now += 20 if step.late else 0
        left = process.drain(step.shard, step.death)
        end = time.monotonic() + SETTLE_SECONDS
        # The server notices that its client is gone, and only then lets go of the shard: a next drain would do nothing.
        while left and self.observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", [left]).fetchone():
            assert time.monotonic() < end, "a connection without a client goes on"

    def compress(self, patience: float) -> set[str]:
        """What came of it, with a connection of its own: a drain may be under way, which waits so long (seconds)."""
        with drains_connection() as connection, connection.cursor() as cursor:
            self.engine.compress_before(cursor, END)
            return {compact(drains_connection, chunk, patience) for chunk in self.engine.unsorted(cursor, END)}

    def _is_stored(self, shard: int) -> bool:
        stored = positions.look(self.observer, shard).stored
        reading = self.source.log.read(shard, stored, 1)
        return ordinal(reading.last_id) == ordinal(stored)


@pytest.fixture
def world(request: pytest.FixtureRequest, platform_db: None) -> Iterator[World]:
    source = Source.make(len(SHARDS) * SERIES_A_SHARD)
    times = [LONG_AGO, *range(NOON - DAY, END, DAY)]
    with (
        readings_table(request.param, times) as engine,
        drains_connection() as observer,
    ):
        yield World(source, observer, engine)
        close_drains()


def holds(world: World, steps: list[Step]) -> None:
    """Play, and compare with the dictionary."""
    world.play(steps)
    holds_what_was_sent(world, again=LogLost() in steps)


def holds_what_was_sent(world: World, *, again: bool = False) -> None:
    """``again``: some was sent again after a loss, which has outcomes of its own."""
    rows = world.rows()
    assert rows == world.expected()
    assert world.counted() == len(rows)
    if not again:
        assert world.repeats() == world.expected_repeats()


def over(*layouts: Layout) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", layouts, indirect=True, ids=lambda layout: layout.value)


FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@over(Layout.FRONTIER)
@FEW
@given(steps=streams(5, 10, 20, 30))
def test_each_reading_is_stored_once_whatever_dies(world: World, steps: list[Step]) -> None:
    holds(world, steps)


@over(Layout.UNIQUE)
@settings(FEW, max_examples=6)
@given(steps=streams(5, 10, 20, 30))
def test_with_a_unique_index_too(world: World, steps: list[Step]) -> None:
    holds(world, steps)


@over(*Layout)
def test_workers_side_by_side_store_each_reading_once(world: World) -> None:
    """Two for each shard, while ranges are made, and compressed or sorted, by whoever needs them first."""
    world.begin()
    chance, over, errors = random.Random(5), threading.Event(), list[BaseException]()

    def forever(work: Callable[[], object]) -> None:
        while not over.is_set():
            try:
                work()
            except psycopg.errors.DeadlockDetected:
                continue  # of who compresses; drains try again by themselves
            except BaseException as error:
                errors.append(error)
                return

    drains = [new_drain(shard=shard, **world.options) for shard in SHARDS for _ in range(2)]
    jobs: list[Callable[[], object]] = [*(drain.drain for drain in drains), partial(world.compress, 0.05)]
    threads = [threading.Thread(target=forever, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for _ in range(REQUESTS):
        places = chance.choices(range(len(SHARDS) * SERIES_A_SHARD), k=8)
        world.send(Send([(place, chance.choice(STEPS_AWAY), chance.random()) for place in places]))
    world.settle()
    over.set()
    for thread in threads:
        thread.join(SETTLE_SECONDS)
    assert errors == []
    holds_what_was_sent(world)


@pytest.mark.slow
@over(Layout.FRONTIER)
@settings(FEW, max_examples=80, derandomize=False, print_blob=True)
@given(steps=streams(5, 20, 50, 100))
def test_each_reading_is_stored_once_in_many_more_streams(world: World, steps: list[Step]) -> None:
    holds(world, steps)

"""What every measurement shares: the running platform, the yardstick, new readings to send, the way they are timed."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from benchmarks import bodies
from benchmarks.fleet import FLEET, EventClock, Fleet
from benchmarks.load import requests, sender, wrk
from benchmarks.load.requests import ACCEPTED, Load
from benchmarks.load.result import LostReading, Sent
from benchmarks.machine import memory, rules
from benchmarks.machine.ground import Ground
from benchmarks.machine.history import History, build
from benchmarks.machine.platform import Access, Platform
from benchmarks.machine.store import Store
from benchmarks.r0 import Yardstick

ROUNDS = 3

#: Of what takes a second or two: one round of that says less than one of ten seconds.
SHORT_ROUNDS = 5

#: Connections of a run with large bodies: one for each metric of the fleet.
CONNECTIONS = 10

#: Readings of one timed run.
READINGS = 1_000_000

#: Readings in the store that queries are asked about.
STORED_ROWS = 50_000_000

_DEVICE_KEYS = 1_000
_AWAKENINGS = 10


@dataclass(frozen=True, slots=True)
class Way:
    """A load on its whole way, from the first POST to the COMMIT of its last reading."""

    load: Load
    sent: Sent
    seconds: float

    @property
    def rate(self) -> float:
        """Readings per second."""
        return self.load.readings / self.seconds


class Bench:
    """One run's means. The platform is provisioned with FLEET, and every series of it has been sent once."""

    def __init__(self, ground: Ground, platform: Platform, store: Store, stored_rows: int = STORED_ROWS) -> None:
        self.stored_rows = stored_rows
        self.ground = ground
        self.platform = platform
        self.store = store
        self.clock = EventClock()
        self.idle = memory.of(platform.family())
        self.access: Access = platform.provision(FLEET.prefix, FLEET.devices, _DEVICE_KEYS)
        self.warm_up(FLEET)

    @property
    def engine(self) -> str:
        """`timescale` or `partitions`."""
        from telemetry.timeseries.engine import engine_in_use

        with self.store.connection.cursor() as cursor:
            return engine_in_use(cursor).name

    def goal(self, plain: float, timescale: float) -> float:
        return timescale if self.engine == "timescale" else plain

    @cached_property
    def yardstick(self) -> Yardstick:
        config = self.ground.config
        database = self.ground.make_database(self.ground.database, "iot_r0")
        return Yardstick(database, config.timeseries_engine, config.partition_days)

    @cached_property
    def best_rate(self) -> float:
        """Readings per second of the headline load, for the measurements that run at a part of it."""
        return statistics.median(self.empty_way(self.load(bodies.one_metric)).rate for _ in range(ROUNDS))

    @cached_property
    def history(self) -> History:
        """The full store that queries are asked about; made once, as nothing may empty it afterwards."""
        rate = self.best_rate  # is measured on an empty table
        say(f"  storing and rolling up {self.stored_rows:,} readings (writing at {rate:,.0f}/s elsewhere)")
        return build(self.ground, self.platform, self.store, self.clock.take(0), self.stored_rows)

    # --- loads ---------------------------------------------------------------------------------------------------

    def load(
        self,
        form: bodies.Form,
        readings_per_post: int = 1_000,
        readings: int = READINGS,
        connections: int = CONNECTIONS,
        fleet: Fleet = FLEET,
        token: str | Callable[[int, int], str] | None = None,
    ) -> Load:
        """New readings as requests on disk: about `readings` of them, with the gateway's key if no other is given."""
        posts = max(1, readings // readings_per_post // connections)
        total = posts * connections * readings_per_post
        # Whole turns through the series, and one more body's worth of times where a body holds many of one series.
        start = self.clock.take(-(-total // fleet.series) + readings_per_post // fleet.metrics + 1)
        share = bodies.Share(fleet, 0, connections, readings_per_post, posts, start)
        return requests.build(self.ground.directory("load"), form, share, token or self.access.gateway_key)

    def send(self, load: Load, port: int | None = None) -> Sent:
        """With wrk, or our own generator where that is missing, to the platform or to a port of this machine.

        Raises LostReading unless all was taken; the platform's answers also say how many readings that is.
        """
        port = port or self.platform.port
        sent = wrk.send(load, port) if wrk.is_installed() else sender.send(load, port, processes=2).sent
        counted = sent.accepted if load.taken == ACCEPTED else load.readings
        if set(sent.statuses) != {load.taken} or counted != load.readings:
            raise LostReading(
                f"{load.readings} readings in {load.posts} posts were sent, {sent.accepted} were accepted; "
                f"answers by status: {dict(sent.statuses)}"
            )
        return sent

    # --- timing --------------------------------------------------------------------------------------------------

    def way(self, load: Load) -> Way:
        """Send a load and wait until all of it is committed; every accepted reading must then be in the table."""
        committed, rows = self.store.committed(), self.store.rows()
        sent = self.send(load)
        ended = self.store.wait_for(committed + load.readings)
        self.store.must_have(rows + load.readings)
        return Way(load, sent, ended - sent.began)

    def empty_way(self, load: Load) -> Way:
        """The same into an empty table."""
        self.store.empty()
        return self.way(load)

    @contextmanager
    def thresholds(self, count: int) -> Iterator[None]:
        """So many active ones over FLEET (benchmarks.machine.rules), every process awake again.

        Making them places devices in groups, and every process forgets a device that is placed anew: it would look them up
        one by one while a clock runs, in a load whose bodies each speak of one device.
        """
        with rules.active(self.store.connection, FLEET, count):
            self.warm_up(FLEET)
            yield

    def warm_up(self, fleet: Fleet) -> None:
        """Send some readings of every series, so that none is new in what follows and every process is awake.

        One connection speaks of all of them, and each new one may reach another process than the last: after a few, every
        process knows every series. Spread over several connections, a process would know those of some, and look up the
        others while a clock runs.
        """
        for _ in range(_AWAKENINGS):
            load = self.load(bodies.one_metric, readings=max(fleet.series, 1_000), connections=1, fleet=fleet)
            committed = self.store.committed()
            # A process that has just started may refuse at first; our own generator sends again what was refused.
            sender.send(load, self.platform.port)
            self.store.wait_for(committed + load.readings)


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Take the measures in turn, so that a machine that slows down slows all of them; one list of figures for each."""
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [list(figures) for figures in zip(*taken, strict=True)]


def ratio(figures: Iterable[float], yardsticks: Iterable[float]) -> float:
    """Median of the ratios round by round."""
    return statistics.median(figure / yardstick for figure, yardstick in zip(figures, yardsticks, strict=True))


def say(text: str) -> None:
    """Progress, beside the report."""
    print(text, file=sys.stderr, flush=True)

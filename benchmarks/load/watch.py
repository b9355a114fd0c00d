"""Follows single readings of a paced load until the API answers with them."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from benchmarks.fleet import STEP_MS, iso
from benchmarks.load.requests import Load
from benchmarks.load.result import LostReading
from benchmarks.load.sender import Pace
from benchmarks.machine.store import Store

_LOOK_SECONDS = 0.004
_READERS = 4
_PATIENCE_SECONDS = 30

# Constants and one scan, as the times of what is waited for lie close together: where drains land in columns, a join would
# go down to each of them by itself, every few milliseconds, and measure little but that.
_COMMITTED = "SELECT series_id, time FROM telemetry_reading WHERE series_id = ANY(%s) AND time >= %s AND time <= %s"


@dataclass(frozen=True, slots=True)
class Probe:
    """One reading to follow: in which request it travels, and what it is."""

    connection: int
    post: int
    device: str
    metric: str
    time_ms: int


def probes(load: Load, posts_per_second: float, per_second: float) -> list[Probe]:
    """Readings spread over a load of `bodies.one_metric`, one body a step, each of another device."""
    if load.readings_per_post * load.connections != load.fleet.series:
        raise ValueError("a body must speak of every series of its connection once")
    every = max(1, round(posts_per_second / per_second))
    picked = []
    for number in range(0, load.posts, every):
        post, connection = divmod(number, load.connections)
        series = load.fleet.series * connection // load.connections + random.randrange(load.readings_per_post)
        metric, device = divmod(series, load.fleet.devices)
        time_ms = load.start_ms + post * STEP_MS
        picked.append(Probe(connection, post, load.fleet.device(device), load.fleet.metric_names()[metric], time_ms))
    return picked


class Watch(threading.Thread):
    """Follows probes while the load is sent.

    `committed` is then when (time.monotonic()) each was first found in the table, `seen` when the API answered with it.
    """

    def __init__(self, store: Store, port: int, session: str, probes: list[Probe], load: Load) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._connection = store.connection
        self._port = port
        self._session = session
        self._line = threading.local()
        self._probes = probes
        self._load = load
        self._due: list[float] = []
        self._series = self._series_ids(load)
        self._devices = self._device_ids(load)
        self.committed: dict[Probe, float] = {}
        self.seen: dict[Probe, float] = {}
        self.error: Exception | None = None

    def begin(self, pace: Pace) -> None:
        """Follow the probes of a load that leaves at that pace."""
        numbers = [probe.post * self._load.connections + probe.connection for probe in self._probes]
        self._due = [pace.due(number) or pace.start for number in numbers]
        self.start()

    def run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self.error = error

    def _follow(self) -> None:
        # Several readers, as there are several operators: a slow answer must not make the next probe look late.
        with ThreadPoolExecutor(_READERS) as readers:
            reading = [readers.submit(self._read, probe) for probe in self._commits()]
            for each in reading:
                each.result()

    def _commits(self) -> Iterator[Probe]:
        """Each probe when it is found in the table. Raises LostReading where none comes any more."""
        waiting: dict[int, Probe] = {}
        following, moved = 0, time.monotonic()
        stored: dict[int, int] = {}
        while following < len(self._probes) or waiting:
            # Before the time is looked at: what is due later is then committed later, and seen as a change.
            before, stored = stored, self._store.committed_by_shard()
            now = time.monotonic()
            while following < len(self._probes) and self._due[following] <= now:
                waiting[following] = self._probes[following]
                following += 1
            for number in self._found(self._in_shards(waiting, before, stored)):
                probe = waiting.pop(number)
                self.committed[probe] = moved = time.monotonic()
                yield probe
            if not waiting:
                moved = now
            elif now - moved > _PATIENCE_SECONDS:
                raise LostReading(f"{len(waiting)} readings are not stored {_PATIENCE_SECONDS} s after they were sent")
            time.sleep(_LOOK_SECONDS)

    def _in_shards(self, waiting: dict[int, Probe], before: dict[int, int], stored: dict[int, int]) -> dict[int, Probe]:
        """Those that a COMMIT since the last look may have stored. (In columns that are not sorted yet each look costs the
        server some milliseconds: more of them would be felt by what is measured.)"""
        return {
            number: probe
            for number, probe in waiting.items()
            if stored[shard := self._devices[probe.device] % len(stored)] != before.get(shard)
        }

    def _found(self, waiting: dict[int, Probe]) -> list[int]:
        if not waiting:
            return []
        places = {
            (self._series[probe.device, probe.metric], datetime.fromtimestamp(probe.time_ms / 1000, UTC)): number
            for number, probe in waiting.items()
        }
        series, times = [series for series, _ in places], [at for _, at in places]
        rows = self._connection.execute(_COMMITTED, [series, min(times), max(times)]).fetchall()
        return [places[row] for row in rows if row in places]

    def _read(self, probe: Probe) -> None:
        """Ask for the reading as an operator does. Raises LostReading where the answer is without it."""
        if not hasattr(self._line, "http"):
            self._line.http = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_SECONDS)
        query = {
            "device": probe.device,
            "metric": probe.metric,
            "start": iso(probe.time_ms),
            "end": iso(probe.time_ms + 1),
        }
        headers = {"Cookie": f"sessionid={self._session}"}
        self._line.http.request("GET", f"/api/v1/readings?{urlencode(query)}", headers=headers)
        answer = self._line.http.getresponse()
        body = answer.read()
        self.seen[probe] = time.monotonic()
        if answer.status != 200 or not json.loads(body)["results"]:
            raise LostReading(f"committed, but not readable: {probe}, answer {answer.status} {body[:300]!r}")

    def _series_ids(self, load: Load) -> dict[tuple[str, str], int]:
        rows = self._connection.execute(
            "SELECT d.name, s.metric, s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id "
            "WHERE d.name LIKE %s",
            [f"{load.fleet.prefix}-%"],
        )
        return {(device, metric): number for device, metric, number in rows}

    def _device_ids(self, load: Load) -> dict[str, int]:
        rows = self._connection.execute(
            "SELECT name, id FROM telemetry_device WHERE name LIKE %s", [f"{load.fleet.prefix}-%"]
        )
        return dict(rows.fetchall())

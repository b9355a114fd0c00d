"""Follows single readings of a paced load until the API answers with them."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from benchmarks.fleet import STEP_MS, iso
from benchmarks.load.requests import Load
from benchmarks.load.result import LostReading
from benchmarks.load.sender import Pace
from benchmarks.machine.store import Store

_LOOK_SECONDS = 0.004
_PATIENCE_SECONDS = 30

_COMMITTED = """
SELECT p.n FROM unnest(%s::int[], %s::int[], %s::timestamptz[]) AS p(n, series, time)
JOIN telemetry_reading r ON r.series_id = p.series AND r.time = p.time
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """One reading to follow: in which request it travels, and what it is."""

    connection: int
    post: int
    device: str
    metric: str
    time_ms: int


def probes(load: Load, pace: Pace, per_second: float) -> list[Probe]:
    """Readings spread over a load of `bodies.one_metric`, one body a step, each of another device."""
    if load.readings_per_post * load.connections != load.fleet.series:
        raise ValueError("a body must speak of every series of its connection once")
    every = max(1, round(pace.posts_per_second / per_second))
    picked = []
    for number in range(0, load.posts, every):
        post, connection = divmod(number, load.connections)
        series = load.fleet.series * connection // load.connections + random.randrange(load.readings_per_post)
        metric, device = divmod(series, load.fleet.devices)
        time_ms = load.start_ms + post * STEP_MS
        picked.append(Probe(connection, post, load.fleet.device(device), load.fleet.metric_names()[metric], time_ms))
    return picked


class Watch(threading.Thread):
    """Follows probes while the load is sent; `seen` is then when (time.monotonic()) the API answered with each."""

    def __init__(self, store: Store, port: int, session: str, probes: list[Probe], load: Load, pace: Pace) -> None:
        super().__init__(daemon=True)
        self._connection = store.connection
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        self._session = session
        self._probes = probes
        self._due = [pace.start + (p.post * load.connections + p.connection) / pace.posts_per_second for p in probes]
        self._series = self._series_ids(load)
        self.seen: dict[Probe, float] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            self.error = error

    def _follow(self) -> None:
        waiting: dict[int, Probe] = {}
        following, moved = 0, time.monotonic()
        while following < len(self._probes) or waiting:
            now = time.monotonic()
            while following < len(self._probes) and self._due[following] <= now:
                waiting[following] = self._probes[following]
                following += 1
            committed = self._committed(waiting)
            for number in committed:
                probe = waiting.pop(number)
                self._read(probe)
                self.seen[probe] = moved = time.monotonic()
            if not waiting:
                moved = now
            elif now - moved > _PATIENCE_SECONDS:
                raise LostReading(f"{len(waiting)} readings cannot be read {_PATIENCE_SECONDS} s after they were sent")
            time.sleep(_LOOK_SECONDS)

    def _committed(self, waiting: dict[int, Probe]) -> list[int]:
        if not waiting:
            return []
        series = [self._series[probe.device, probe.metric] for probe in waiting.values()]
        times = [datetime.fromtimestamp(probe.time_ms / 1000, UTC) for probe in waiting.values()]
        return [row[0] for row in self._connection.execute(_COMMITTED, [list(waiting), series, times])]

    def _read(self, probe: Probe) -> None:
        """Ask for the reading as an operator does. Raises LostReading where the answer is without it."""
        query = {
            "device": probe.device,
            "metric": probe.metric,
            "start": iso(probe.time_ms),
            "end": iso(probe.time_ms + 1),
        }
        self._http.request(
            "GET", f"/api/v1/readings?{urlencode(query)}", headers={"Cookie": f"sessionid={self._session}"}
        )
        answer = self._http.getresponse()
        body = answer.read()
        if answer.status != 200 or not json.loads(body)["results"]:
            raise LostReading(f"committed, but not readable: {probe}, answer {answer.status} {body[:300]!r}")

    def _series_ids(self, load: Load) -> dict[tuple[str, str], int]:
        rows = self._connection.execute(
            "SELECT d.name, s.metric, s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id "
            "WHERE d.name LIKE %s",
            [f"{load.fleet.prefix}-%"],
        )
        return {(device, metric): number for device, metric, number in rows}

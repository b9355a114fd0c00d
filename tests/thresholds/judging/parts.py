"""What the tests of judging are made of: thresholds, readings straight to a shard's log, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from django.conf import settings

from alerts.models import Alert
from iotplatform.env import config
from iotplatform.judging import threshold_judge
from iotplatform.pipeline import ShardDrain
from telemetry.deadline import BoundedConnection
from telemetry.intake import heartbeat
from telemetry.intake.batch import Batch
from telemetry.log.entries import Append
from telemetry.log.payload import Payload
from telemetry.log.redis_streams import RedisLog
from telemetry.models import Device, LogLayout, Series
from tests.builders import make_device
from tests.iotplatform.pipeline.parts import drain_to_end, drains_connection, register_segment
from thresholds.judge import ThresholdJudge
from thresholds.models import Level, Severity, Threshold

#: A minute of November 2026, µs since 1970.
NOON = 1_795_000_000_000_000
SECOND = 1_000_000


def make_threshold(metric: str = "temperature", levels: Any = None, **fields: Any) -> Threshold:
    """An enabled threshold over all devices, "warning above 80" unless told. Levels: severity → trigger, or the level's
    fields."""
    scope = {"device", "device_type", "group"} & set(fields)
    threshold = Threshold.objects.create(
        **{"name": "hot", "metric": metric, "condition": "above", "all_devices": not scope, **fields}
    )
    for name, level in (levels or {"warning": 80.0}).items():
        values = level if isinstance(level, dict) else {"trigger": level}
        Level.objects.create(threshold=threshold, severity=Severity[name.upper()], **values)
    return threshold


def new_log() -> RedisLog:
    return RedisLog(settings.SERVERS["redis_url"], 3.0, on_segment=register_segment)


@dataclass
class Wall:
    """Both clocks of a worker, set by hand: seconds since 1970."""

    now: float = NOON / 1e6

    def __call__(self) -> float:
        return self.now

    def alive(self, seconds: float) -> None:
        """So much time goes by, and intake is up all the while."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 4)
            heartbeat.beat(new_log(), int(self.now * 1e6))


@dataclass
class Worker:
    """A process that drains one shard, as it is when it has just started."""

    drain: ShardDrain
    judge: ThresholdJudge

    @classmethod
    def start(
        cls,
        shard: int,
        wall: Callable[[], float] | None = None,
        kind: type[BoundedConnection] = BoundedConnection,
        on_unjudged: Any = None,
        **changes: Any,
    ) -> Worker:
        """``wall``: its clocks; ``changes`` are of the configuration."""
        log, changed = new_log(), replace(config, **changes)
        judge = threshold_judge(log, changed)
        clocks: dict[str, Any] = {}
        if wall is not None:
            judge._clock = judge._monotonic = wall
            clocks = {"wall": wall, "clock": wall}
        connect = lambda: drains_connection(kind)  # noqa: E731
        return cls(ShardDrain(shard, log, judge, changed, connect, on_unjudged=on_unjudged, **clocks), judge)

    def work(self) -> int:
        """Drain until nothing waits, and look once more; answers how many readings were taken."""
        taken = drain_to_end(self.drain)
        self.drain.drain()
        return taken


@contextmanager
def worker(shard: int, *arguments: Any, **options: Any) -> Iterator[Worker]:
    """A worker, hung up at the end."""
    started = Worker.start(shard, *arguments, **options)
    try:
        yield started
    finally:
        started.drain.close()


@dataclass
class Sender:
    """Sends readings of one device's metric to its shard's log, as intake would. Times in seconds after noon."""

    device: Device
    series: int
    log: RedisLog = field(default_factory=new_log)
    #: Received: µs since 1970.
    clock: Callable[[], int] = lambda: int(time.time() * 1e6)

    @classmethod
    def make(cls, metric: str = "temperature", **fields: Any) -> Sender:
        device = make_device(**fields)
        return cls(device, Series.objects.create(device=device, metric=metric).pk)

    @property
    def shard(self) -> int:
        return self.device.pk % LogLayout.objects.get().shards

    def send(self, *readings: tuple[float, float], **payload: Any) -> None:
        """(seconds after noon, value), as one request."""
        batch = Batch(
            np.full(len(readings), self.series, np.int32),
            np.array([NOON + round(at * SECOND) for at, _ in readings], np.int64),
            np.array([value for _, value in readings], np.float64),
        )
        entry = Payload(batch, payload.pop("received_at", None) or self.clock(), **payload)
        (answer,) = self.log.append([Append([(self.shard, entry.encode())])])
        assert not isinstance(answer, Exception), answer


def alerts(**where: Any) -> list[tuple[Any, ...]]:
    """(state, severity, opened at, ended at) of all alerts, oldest first; times in seconds after noon."""
    found = Alert.objects.filter(**where).order_by("opened_at", "id")
    return [
        (alert.state, alert.get_severity_display(), _after(alert.opened_at), _after(alert.ended_at)) for alert in found
    ]


def _after(moment: Any) -> float | None:
    return None if moment is None else round(moment.timestamp() - NOON / 1e6, 6)

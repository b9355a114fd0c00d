"""What tests are made of: devices, keys, readings, drains. Each builder makes one thing that works as it is."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any

from django.conf import settings

from iotplatform.env import config
from iotplatform.judging import threshold_judge
from iotplatform.pipeline import ShardDrain
from telemetry.database import connect
from telemetry.log.redis_streams import RedisLog
from telemetry.models import Device, DeviceGroup, DeviceKey, LogLayout
from tests.gateway import request

_numbers = itertools.count(1)


def make_device(name: str | None = None, **fields: Any) -> Device:
    """An enabled device without a type."""
    return Device.objects.create(name=name or f"device-{next(_numbers)}", **fields)


def make_key(device: Device | None = None, group: DeviceGroup | None = None, **fields: Any) -> str:
    """A key as it is sent: for a device, a group, or (by default) all devices."""
    return DeviceKey(device=device, group=group, all_devices=device is None and group is None, **fields).issue()


def post_readings(key: str, body: Any, query: str = "", **headers: Any) -> Any:
    """POST /api/v1/readings as a device does; ``body`` is JSON or bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"CONTENT_TYPE": "application/json", "HTTP_AUTHORIZATION": f"Bearer {key}"} | headers
    named = {name.removeprefix("HTTP_").replace("_", "-"): str(value) for name, value in headers.items()}
    return request("POST", f"/api/v1/readings{query}", data, named)


def make_drain(shard: int, judge: Any = None) -> ShardDrain:
    """A drain as a worker that has just started has it."""
    log = RedisLog(settings.SERVERS["redis_url"], config.redis_timeout_seconds)
    judge = judge or threshold_judge(log, config)
    return ShardDrain(shard, log, judge, config, lambda: connect(autocommit=True))


def drain_all(judge: Any = None) -> int:
    """Drain every shard to its end; answers how many readings were taken from the log."""
    taken = 0
    for shard in range(LogLayout.objects.get().shards):
        drain = make_drain(shard, judge)
        while (done := drain.drain()).more or done.readings:
            taken += done.readings
        drain.close()
    return taken


def wait_until(condition: Any, seconds: float = 20.0, what: str = "") -> Any:
    """Wait for a condition to hold, with a deadline; answers what it answered. Raises AssertionError."""
    pause = threading.Event()
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        pause.wait(0.02)

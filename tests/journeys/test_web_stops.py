"""A web server that is asked to stop finishes what is under way, requests that are held for a long time among it."""

from __future__ import annotations

import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import redis

from telemetry.log import keys
from tests.live import LivePlatform

_HELD = 3


@pytest.mark.slow
def test_requests_that_are_held_when_web_is_stopped_are_answered_and_it_stops_in_time() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="stops-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "a", run=["web"]) as platform,  # nobody stores: ?wait= waits
        ThreadPoolExecutor(_HELD) as senders,
    ):
        key = platform.provision("pump-7")
        held = [senders.submit(platform.post, {"metrics": {"a": 1}}, key, "?wait=20") for _ in range(_HELD)]
        with platform.redis() as log:
            platform.wait_until(lambda: _entries(platform, log) == _HELD, 20, "all are in the log")
        family = platform.family("web")
        family[0].send_signal(signal.SIGTERM)
        assert [each.result(10).status for each in held] == [202] * _HELD
        _, left = psutil.wait_procs(family, timeout=platform.command("web").stop_seconds)
        assert not left, "it had to be killed"


def _entries(platform: LivePlatform, log: redis.Redis) -> int:
    return sum(log.xlen(keys.stream(shard)) for shard in range(platform.config.shards))

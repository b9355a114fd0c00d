"""The last hour of the platform: what two samples say, and that pages live without any."""

from __future__ import annotations

import math

import pytest
import redis

from iotplatform.dashboard import history
from iotplatform.dashboard.history import Sample
from iotplatform.dashboard.vitals import vitals
from tests.builders import drain_all, make_device, make_key, post_readings


def sample(at: float, stored: int, fast: int = 0, slow: int = 0) -> Sample:
    """So many requests were stored within 0.1 s, and within 1 s, since the beginning."""
    latency = [[0.1, fast], [1.0, fast + slow], [math.inf, fast + slow]]
    return Sample(at, stored, 0, 0, 0.0, [[bound, float(count)] for bound, count in latency])


def test_a_minute_is_told_from_its_first_and_its_last_sample() -> None:
    samples = [sample(3_540 + 5 * step, 100 * step, fast=99 * step, slow=step) for step in range(13)]
    hour = history.minutes(samples, 3_600)
    assert len(hour) == 60
    assert hour[-1].rate == pytest.approx(20)
    assert hour[-1].typical == pytest.approx(50.5, abs=0.2)
    assert hour[-1].slowest == pytest.approx(100, abs=1)
    assert [minute.rate for minute in hour[:-2]] == [None] * 58


def test_counts_that_began_anew_say_nothing() -> None:
    assert history.rate(sample(0, 100), sample(5, 20)) is None
    assert history.rate(sample(0, 100), sample(5, 150)) == 10


@pytest.mark.usefixtures("platform_db")
def test_samples_are_kept_and_become_the_rate_of_the_overview() -> None:
    with redis.Redis.from_url(history.settings.SERVERS["cache_url"]) as cache:
        cache.flushall()
    history.note()
    key = make_key(make_device())
    post_readings(key, {"metrics": {"temperature": 1, "pressure": 2}})
    assert history.look().waiting > 0
    drain_all()
    (kept,) = history.recent()
    now = history.look()
    assert (now.stored - kept.stored, now.waiting, now.oldest) == (2, 0, 0.0)
    assert vitals().waiting == 0

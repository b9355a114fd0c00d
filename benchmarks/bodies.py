"""The JSON bodies that devices send, in the forms of the public contract, built before any clock starts.

The readings of a run are dealt to the connections by series: a series is sent over one connection only and in the order
of its event times, because a real device also waits for its answer before it sends on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.fleet import STEP_MS, Fleet, iso


@dataclass(frozen=True, slots=True)
class Share:
    """What one connection sends: `posts` bodies of `readings` values each, event times from `start_ms` on."""

    fleet: Fleet
    connection: int
    connections: int
    readings: int
    posts: int
    start_ms: int

    def block(self, of: int) -> range:
        """This connection's part of things that are numbered 0 … of-1."""
        return range(of * self.connection // self.connections, of * (self.connection + 1) // self.connections)


#: Builds the bodies of one connection.
Form = Callable[[Share], Iterator[bytes]]


def one_metric(share: Share) -> Iterator[bytes]:
    """An array of objects of one metric each: every reading names its device, time and metric.

    With 10 connections each has one metric of every device, so a body of 1,000 readings speaks of 1,000 devices.
    """
    fleet, values = share.fleet, value_texts(share.connection)
    heads, tails = [], []
    for number in share.block(fleet.series):
        metric = fleet.metric_names()[number // fleet.devices]
        heads.append(f'{{"device":"{fleet.device(number % fleet.devices)}","time":"')
        tails.append(f'","metrics":{{"{metric}":')
    objects = (
        f"{head}{moment}{tail}{next(values)}}}}}"
        for moment in moments(share)
        for head, tail in zip(heads, tails, strict=True)
    )
    for _ in range(share.posts):
        yield array(objects, share.readings)


def all_metrics(share: Share) -> Iterator[bytes]:
    """An array of objects with all metrics of a device at one time."""
    fleet, values = share.fleet, value_texts(share.connection)
    heads = [f'{{"device":"{fleet.device(number)}","time":"' for number in share.block(fleet.devices)]
    names = [f'"{metric}":' for metric in fleet.metric_names()]
    objects = (
        f'{head}{moment}","metrics":{{{",".join([name + next(values) for name in names])}}}}}'
        for moment in moments(share)
        for head in heads
    )
    for _ in range(share.posts):
        yield array(objects, share.readings // fleet.metrics)


def one_object(share: Share) -> Iterator[bytes]:
    """A single reading as one object, not in an array: what a small device sends by itself."""
    for body in one_metric(share):
        yield body[1:-1]


def compact(share: Share) -> Iterator[bytes]:
    """The compact form: one device, many times, all its metrics; the devices take turns."""
    times = share.readings // share.fleet.metrics
    objects = _compact_objects(share, times)
    for _ in range(share.posts):
        yield next(objects).encode()


def compact_wrapped(share: Share) -> Iterator[bytes]:
    """Ten compact objects of one device each inside `readings`."""
    times = share.readings // share.fleet.metrics // 10
    objects = _compact_objects(share, times)
    for _ in range(share.posts):
        yield b'{"readings":' + array(objects, 10) + b"}"


def _compact_objects(share: Share, times: int) -> Iterator[str]:
    fleet, values = share.fleet, value_texts(share.connection)
    names = [f'"{metric}":' for metric in fleet.metric_names()]
    times_of_all = moments(share)
    while True:
        stamps = '","'.join(itertools.islice(times_of_all, times))
        for number in share.block(fleet.devices):
            metrics = ",".join([f"{name}[{','.join(itertools.islice(values, times))}]" for name in names])
            yield f'{{"device":"{fleet.device(number)}","times":["{stamps}"],"metrics":{{{metrics}}}}}'


def array(objects: Iterator[str], count: int) -> bytes:
    """The next `count` of the objects as a JSON array."""
    return f"[{','.join(itertools.islice(objects, count))}]".encode()


def moments(share: Share) -> Iterator[str]:
    """The event times of each series, in order."""
    return (iso(moment) for moment in itertools.count(share.start_ms, STEP_MS))


def value_texts(seed: int) -> Iterator[str]:
    """Values as text, from a pool: their digits do not matter to any cost, and drawing each anew would take minutes."""
    source = random.Random(seed)
    return itertools.cycle([f"{source.gauss(20.0, 5.0):.2f}" for _ in range(9_973)])

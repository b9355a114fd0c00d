"""What the benchmarks send: every reading once, in order of time within its series, in the forms of the contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from benchmarks import bodies
from benchmarks.baselines.naive.form import flat
from benchmarks.fleet import Fleet

SMALL = Fleet("unit", devices=20)
CONNECTIONS = 2


def sent_over(connection: int, form: bodies.Form, readings: int, posts: int) -> list[object]:
    share = bodies.Share(SMALL, connection, CONNECTIONS, readings, posts, 1_700_000_000_250)
    return [json.loads(body) for body in form(share)]


def values_of(body: object) -> Iterator[tuple[str, str, str]]:
    """(device, metric, time) of every single value in a body."""
    if isinstance(body, dict):
        body = body.get("readings", [body])
    assert isinstance(body, list)
    for item in body:
        if "metric" in item:
            yield item["device"], item["metric"], item["time"]
            continue
        for metric, values in item["metrics"].items():
            if "times" in item:
                assert len(values) == len(item["times"])
                yield from ((item["device"], metric, time) for time in item["times"])
            else:
                yield item["device"], metric, item["time"]


@pytest.mark.parametrize(
    ("form", "readings", "posts"),
    [
        (bodies.one_metric, 100, 10),
        (bodies.one_metric, 7, 50),
        (bodies.one_metric, 1_000, 2),
        (bodies.one_object, 1, 300),
        (bodies.all_metrics, 100, 10),
        (bodies.compact, 100, 30),
        (bodies.compact_wrapped, 1_000, 3),
        (flat, 100, 10),
    ],
)
def test_every_reading_is_sent_once_and_in_order_over_one_connection(
    form: bodies.Form, readings: int, posts: int
) -> None:
    seen: Counter[tuple[str, str, str]] = Counter()
    connections_of: dict[tuple[str, str], set[int]] = {}
    for connection in range(CONNECTIONS):
        newest: dict[tuple[str, str], str] = {}
        for body in sent_over(connection, form, readings, posts):
            values = list(values_of(body))
            assert len(values) == readings
            seen.update(values)
            for device, metric, time in values:
                assert newest.get((device, metric), "") < time
                newest[device, metric] = time
                connections_of.setdefault((device, metric), set()).add(connection)
    assert len(seen) == readings * posts * CONNECTIONS
    assert all(len(connections) == 1 for connections in connections_of.values())


def test_times_are_iso_with_milliseconds_and_z() -> None:
    (first,) = sent_over(0, bodies.one_object, 1, 1)
    assert isinstance(first, dict)
    assert first["time"] == "2023-11-14T22:13:20.250Z"


def test_a_headline_body_speaks_of_every_device() -> None:
    share = bodies.Share(Fleet("unit", devices=1_000), 3, 10, 1_000, 1, 1_700_000_000_000)
    (body,) = bodies.one_metric(share)
    assert len({device for device, _, _ in values_of(json.loads(body))}) == 1_000

"""Run as a process of its own, in the platform's environment: what intake costs a reading, by the form of the body.

Prints one line of JSON: {"json": 1.2, …}, CPU time in µs a reading, the best of some rounds.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import django
import numpy as np
import pyarrow as pa

from benchmarks import bodies
from benchmarks.fleet import FLEET

_BODIES, _ROUNDS, _SECONDS = 20, 5, 0.3
_AGO_MS = 3_600_000


def main() -> None:
    django.setup()
    from telemetry.intake.decode import ARROW

    start = time.time_ns() // 1_000_000 - _AGO_MS
    share = bodies.Share(FLEET, 0, 10, 1_000, _BODIES, start)
    forms: dict[str, tuple[str, Iterator[bytes]]] = {
        "json": ("application/json", bodies.one_metric(share)),
        "json_all_metrics": ("application/json", bodies.all_metrics(share)),
        "compact": ("application/json", bodies.compact(share)),
        "arrow_long": (ARROW, _arrow(_long, start)),
        "arrow_wide": (ARROW, _arrow(_wide, start)),
    }
    print(json.dumps({form: _cost(kind, list(made)) for form, (kind, made) in forms.items()}))


def _cost(content_type: str, made: list[bytes]) -> float:
    """µs a reading."""
    from telemetry.intake.accept import Sender, prepare
    from telemetry.intake.decode import DECODERS

    sender, now = Sender(), time.time_ns() // 1000

    def take(body: bytes) -> int:
        prepared = prepare(DECODERS[content_type](body, 100_000), sender, now)
        return sum(count for _, count in prepared.counts)

    readings = sum(map(take, made))  # the first time, the registry asks the database
    best = float("inf")
    for _ in range(_ROUNDS):
        begun, times = time.process_time(), 0
        while (spent := time.process_time() - begun) < _SECONDS:
            for body in made:
                take(body)
            times += 1
        best = min(best, spent / times / readings * 1e6)
    return round(best, 4)


def _arrow(table: Callable[[int, np.random.Generator], dict[str, Any]], start_ms: int) -> Iterator[bytes]:
    random = np.random.default_rng(1)
    for number in range(_BODIES // 4):
        columns = table(start_ms * 1000 + number * 1_000_000, random)
        made = pa.table(columns)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, made.schema) as writer:
            writer.write_table(made)
        yield sink.getvalue()


def _long(start: int, random: np.random.Generator) -> dict[str, Any]:
    """10,000 rows: one of each series of the fleet."""
    row = np.arange(FLEET.series)
    return {
        "device": _dictionary([FLEET.device(number) for number in range(FLEET.devices)], row % FLEET.devices),
        "metric": _dictionary(list(FLEET.metric_names()), row // FLEET.devices),
        "time": pa.array(start + row, pa.timestamp("us", tz="UTC")),
        "value": np.round(random.normal(20, 5, len(row)), 2),
    }


def _wide(start: int, random: np.random.Generator) -> dict[str, Any]:
    """1,000 rows of all metrics: one a device."""
    row = np.arange(FLEET.devices)
    return {
        "device": _dictionary([FLEET.device(number) for number in range(FLEET.devices)], row),
        "time": pa.array(start + row, pa.timestamp("us", tz="UTC")),
        **{metric: np.round(random.normal(20, 5, len(row)), 2) for metric in FLEET.metric_names()},
    }


def _dictionary(names: list[str], codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


if __name__ == "__main__":
    main()

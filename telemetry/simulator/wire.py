"""Request bodies, in the four forms that the API takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from telemetry.simulator.fleet import Measurement, Style

__all__ = ["body"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def body(style: Style, measurements: Sequence[Measurement]) -> bytes:
    """The JSON of these measurements, which are in order of time for each device."""
    if style is Style.COMPACT:
        content: object = _compact(measurements)
    elif style is Style.WRAPPED:
        content = {"readings": [_object(one, one.time_us) for one in measurements]}
    elif style is Style.ARRAY:
        content = [_object(one, _iso(one.time_us)) for one in measurements]
    else:
        (only,) = measurements
        content = _object(only, _iso(only.time_us))
    return json.dumps(content, separators=(",", ":")).encode()


def _object(one: Measurement, time: str | int) -> dict[str, object]:
    return {"device": one.device, "time": time, "metrics": one.values}


def _compact(measurements: Sequence[Measurement]) -> dict[str, object]:
    metrics = sorted({name for one in measurements for name in one.values})
    return {
        "device": measurements[0].device,
        "times": [one.time_us for one in measurements],
        "metrics": {name: [one.values.get(name) for one in measurements] for name in metrics},
    }


def _iso(time_us: int) -> str:
    # Through timedelta: a float of seconds would not hold microseconds exactly.
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")

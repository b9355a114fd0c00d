"""What the simulated fleet sends is what the platform's own decoder reads."""

from __future__ import annotations

import pytest

from telemetry.intake.decode import DECODERS
from telemetry.simulator.fleet import Measurement, Style
from telemetry.simulator.wire import body

FIRST = Measurement("sim-pump-0001", 1_795_176_000_000_001, {"temperature": 21.5, "running": True})
SECOND = Measurement("sim-pump-0001", 1_795_176_002_500_000, {"temperature": -3.25, "running": False})
ELSEWHERE = Measurement("sim-door-0002", 1_795_176_000_000_000, {"open": False})


@pytest.mark.parametrize(
    ("style", "sent"),
    [
        (Style.SINGLE, [FIRST]),
        (Style.ARRAY, [FIRST, SECOND]),
        (Style.WRAPPED, [FIRST, ELSEWHERE, SECOND]),
        (Style.COMPACT, [FIRST, SECOND]),
        (Style.COMPACT, [FIRST, Measurement("sim-pump-0001", 1_795_176_009_000_000, {"temperature": 7.0})]),
    ],
)
def test_every_form_arrives_to_the_microsecond(style: Style, sent: list[Measurement]) -> None:
    columns = DECODERS["application/json"](body(style, sent), 1000)
    runs = [1] * len(columns.devices) if columns.runs is None else columns.runs.tolist()
    devices = [name for name, length in zip(columns.devices, runs, strict=True) for _ in range(length)]
    metrics = [name for name, length in zip(columns.metrics, runs, strict=True) for _ in range(length)]
    arrived = set(zip(devices, metrics, columns.times.tolist(), columns.values.tolist(), strict=True))
    assert arrived == {
        (one.device, metric, one.time_us, float(value)) for one in sent for metric, value in one.values.items()
    }
    assert not columns.rejections

"""The same readings as `benchmarks.bodies`, in InfluxDB's line protocol, which VictoriaMetrics takes too.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference; times are ms since 1970.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmarks.bodies import Share, value_texts
from benchmarks.fleet import STEP_MS

__all__ = ["MEASUREMENT", "WRITE_PATH", "all_fields", "one_field"]

#: Where both take it: database `bench`, times in ms.
WRITE_PATH = "/write?db=bench&precision=ms"

#: What a line with all metrics of a device is called.
MEASUREMENT = "bench"


def one_field(share: Share) -> Iterator[bytes]:
    """A line a reading, as `bodies.one_metric` has an object a reading: the metric is the measurement."""
    fleet, values = share.fleet, value_texts(share.connection)
    heads = []
    for number in share.block(fleet.series):
        metric = fleet.metric_names()[number // fleet.devices]
        heads.append(f"{metric},device={fleet.device(number % fleet.devices)} value=")
    lines = (f"{head}{next(values)} {moment}" for moment in itertools.count(share.start_ms, STEP_MS) for head in heads)
    for _ in range(share.posts):
        yield "\n".join(itertools.islice(lines, share.readings)).encode()


def all_fields(share: Share) -> Iterator[bytes]:
    """A line for all metrics of a device at one time: the readings of `bodies.compact`, in its order."""
    fleet, values = share.fleet, value_texts(share.connection)
    count = share.readings // fleet.metrics
    blocks = (
        (start, number)
        for start in itertools.count(share.start_ms, count * STEP_MS)
        for number in share.block(fleet.devices)
    )
    for start, number in itertools.islice(blocks, share.posts):
        head = f"{MEASUREMENT},device={fleet.device(number)} "
        columns = [[f"{name}={value}" for value in itertools.islice(values, count)] for name in fleet.metric_names()]
        rows = zip(*columns, strict=True)
        yield "\n".join(f"{head}{','.join(row)} {start + step * STEP_MS}" for step, row in enumerate(rows)).encode()

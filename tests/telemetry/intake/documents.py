"""Documents as senders write them, and what stands in the columns that decoders make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from telemetry.intake.batch import Columns

#: How a document of each content type is written. A new decoder adds its line, and is under the whole contract.
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "application/json": lambda document: json.dumps(document).encode(),
}


class Row(NamedTuple):
    """One value of decoded columns."""

    index: int
    device: str | None
    metric: str
    time: int
    value: float
    boolean: bool


def rows_of(columns: Columns) -> list[Row]:
    """In the order of the columns."""
    lengths = [1] * len(columns) if columns.runs is None else columns.runs.tolist()
    names = [
        (device, metric)
        for device, metric, length in zip(columns.devices, columns.metrics, lengths, strict=True)
        for _ in range(length)
    ]
    boolean = [False] * len(columns) if columns.boolean is None else columns.boolean.tolist()
    numbers = zip(columns.index.tolist(), columns.times.tolist(), columns.values.tolist(), boolean, strict=True)
    return [
        Row(index, device, metric, time, value, is_boolean)
        for (device, metric), (index, time, value, is_boolean) in zip(names, numbers, strict=True)
    ]


def faults_of(columns: Columns) -> list[tuple[int | None, str, str, int]]:
    """(index, field, code, values) of what was refused."""
    return [(refused.index, refused.field, refused.code, refused.count) for refused in columns.rejections]


def count_of(columns: Columns) -> int:
    """Values that are accounted for: decoded or refused."""
    return len(columns) + sum(refused.count for refused in columns.rejections)


NAMES = st.sampled_from(["pump-7", "Pumpe Süd", "泵", "👩‍🔬", "a.b", 'quo"te', '":', "ي", "é"])
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(-1e100, 1e100, allow_subnormal=True)
VALUES = NUMBERS | st.booleans()
ISO_TIMES = st.integers(0, 9).map(lambda n: f"2026-11-21T10:00:0{n}Z") | st.sampled_from(
    ["2026-11-21T10:00:00.250Z", "2026-11-21T12:00:00+02:00", "2026-11-21 10:00Z", "2024-02-29T23:59:59.999999Z"]
)
TIMES = ISO_TIMES | st.integers(0, 10**19) | st.floats(0, 1e17)


@st.composite
def plain_readings(draw: Any) -> dict[str, Any]:
    reading: dict[str, Any] = {"metrics": draw(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))}
    optional = {"device": NAMES | st.none(), "time": TIMES | st.none()}
    return reading | {name: draw(kind) for name, kind in optional.items() if draw(st.booleans())}


@st.composite
def compact_readings(draw: Any) -> dict[str, Any]:
    times = draw(st.lists(TIMES, min_size=1, max_size=5))
    column = st.lists(VALUES | st.none(), min_size=len(times), max_size=len(times))
    reading: dict[str, Any] = {"times": times, "metrics": draw(st.dictionaries(NAMES, column, min_size=1, max_size=3))}
    return reading | ({"device": draw(NAMES)} if draw(st.booleans()) else {})


READINGS = plain_readings() | compact_readings()
DOCUMENTS = READINGS | st.lists(READINGS, min_size=1, max_size=12)
DOCUMENTS |= st.lists(READINGS, min_size=1, max_size=12).map(lambda readings: {"readings": readings})

_SCALARS = st.none() | VALUES | st.floats() | st.text(max_size=5) | TIMES
_FIELDS = st.sampled_from(["device", "time", "times", "metrics", "readings", "a"])
#: Anything that JSON can say, made of the words of our documents.
ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_FIELDS, inner, max_size=5)
        | st.fixed_dictionaries({"metrics": inner})
    ),
    max_leaves=12,
)

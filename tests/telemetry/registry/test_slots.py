"""Finding the rows of series by name: whatever was added and forgotten, as a dictionary would."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.intake.batch import Coded
from telemetry.registry.entries import DeviceEntry, MetricContract
from telemetry.registry.slots import Slots

_DEVICES, _METRICS = st.integers(1, 40), st.integers(0, 90)  # more metrics than the grid has columns
_ADD = st.tuples(st.just("add"), _DEVICES, _METRICS)
_FORGET = st.tuples(st.just("forget"), _DEVICES, st.just(0))


def device(number: int) -> DeviceEntry:
    return DeviceEntry(number, f"pump-{number}", True, "", False, {})


@given(st.lists(_ADD | _ADD | _ADD | _FORGET, max_size=120))
@settings(max_examples=120, deadline=None)
def test_it_finds_what_a_dictionary_finds(steps: list[tuple[str, int, int]]) -> None:
    slots, known = Slots(capacity=8), dict[tuple[str, str], int]()
    # As a gateway that names its devices in one order is found the second time.
    order = tuple(f"pump-{number}" for number in range(42))
    for verb, number, metric in steps:
        name = f"pump-{number}"
        if verb == "forget":
            slots.forget_devices({number})
            known = {pair: slot for pair, slot in known.items() if pair[0] != name}
        elif (name, f"m{metric}") not in known:
            known[name, f"m{metric}"] = slots.add(
                number * 1000 + metric, 0, device(number), f"m{metric}", MetricContract()
            )
        named = [f"m{metric}"] * len(order)
        assert slots.find(order, named).tolist() == [known.get(pair, -1) for pair in zip(order, named, strict=True)]
    pairs = [(f"pump-{number}", f"m{metric}") for number in range(42) for metric in range(92)]
    wanted = [known.get(pair, -1) for pair in pairs]
    assert slots.find([pair[0] for pair in pairs], [pair[1] for pair in pairs]).tolist() == wanted
    columns = [list(column) for column in zip(*pairs, strict=True)]
    names = [sorted(set(column)) for column in columns]
    codes = [np.array([listed.index(name) for name in column]) for listed, column in zip(names, columns, strict=True)]
    assert slots.find(*map(Coded, names, codes)).tolist() == wanted
    found = list(known.values())
    assert slots.series[found].tolist() == [int(pair[0][5:]) * 1000 + int(pair[1][1:]) for pair in known]


def test_no_name_and_no_request_are_found_nowhere() -> None:
    slots = Slots()
    slots.add(1, 0, device(1), "a", MetricContract())
    assert slots.find([None, "pump-1", "pump-1"], ["a", "b", "a"]).tolist() == [-1, -1, 0]
    assert slots.find(Coded(["pump-1"], np.array([-1, 0])), ["a", "a"]).tolist() == [-1, 0]
    assert slots.find([], []).tolist() == []


def test_names_of_columns_fill_in_what_is_left_out() -> None:
    names = Coded(["a", "b"], np.array([1, -1, 0]))
    assert list(names) == ["b", None, "a"]
    assert list(names.filled("own")) == ["b", "own", "a"]

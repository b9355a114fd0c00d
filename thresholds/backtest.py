"""Judge the stored readings of one series a part at a time, so that it can be broken off. Pure.

However a stream is cut the changes are the same: that is what judging promises of drains, and what is relied on here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from thresholds.compiled import Compiled, Place
from thresholds.evaluate import evaluate
from thresholds.machine import Setting
from thresholds.order import NEVER, Arrivals
from thresholds.rule import Flapping, Rule
from thresholds.silent import silent_history
from thresholds.states import States
from thresholds.transitions import Progress, Transition

__all__ = ["judge_in_parts"]

#: Readings: some tens of milliseconds, where nearly all of them change something below a second.
_PART = 50_000


def judge_in_parts(
    rule: Rule,
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    expected_interval: float | None,
    flapping: Flapping,
    until: int,
    check: Callable[[], object],
) -> Iterator[Transition | Progress]:
    """What a rule would have made of one series' readings (oldest first, no two of the same time), in order.

    Times in µs since 1970, ``expected_interval`` in seconds. ``until``: up to when to look for silence. ``check`` is
    called before each part; what it raises ends the judging.
    """
    if not len(times):
        return
    setting = Setting(int(times[-1]), flapping)
    if rule.condition == "silent":
        check()
        yield from silent_history(rule, 0, times, setting, until)
        return
    compiled, states = Compiled([rule]), States()
    # Whatever its scope, this series is in it.
    place = Place(0, rule.device_id or 0, rule.metric, rule.type_id, (rule.group_id or 0,), expected_interval)
    compiled.add(np.zeros(1, np.int32), [place])
    for begin in range(0, len(times), _PART):
        check()
        found = evaluate(_arrivals(times, values, begin), compiled, states, setting)
        states.change(found.states)
        yield from (transition for _, transition in found.transitions)
        yield from found.progress


def _arrivals(times: NDArray[np.int64], values: NDArray[np.float64], begin: int) -> Arrivals:
    """The part that begins there; the reading before it is the newest that there was."""
    part = slice(begin, begin + _PART)
    newest, value = (times[begin - 1], values[begin - 1]) if begin else (NEVER, np.nan)
    return Arrivals(
        np.zeros(len(times[part]), np.int32),
        times[part],
        values[part],
        lambda series: np.full(len(series), newest),
        lambda series, at: np.full(len(series), value),
    )

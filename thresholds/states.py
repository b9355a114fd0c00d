"""The clocks of a shard's pairs in memory, and which series they make worth a look. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresholds.machine import Pair, State

__all__ = ["NO_REST", "States"]

#: Of a series no pair of which is resting.
NO_REST = np.iinfo(np.int64).max


class States(Mapping[Pair, State]):
    """States by pair. Not for half-done work: who fails throws it away.

    A state is *resting* where nothing is on or pending and only past openings are remembered, which may count towards
    flapping: until they are too old, only a breach can change it.
    """

    def __init__(self) -> None:
        self._states: dict[Pair, State] = {}
        self._of_series: dict[int, set[Pair]] = {}
        #: By series: whether a pair has a state that is not resting, and the newest opening of a resting one, the oldest
        #: of several (NO_REST: none).
        self.active: NDArray[np.bool_] = np.zeros(1024, np.bool_)
        self.resting: NDArray[np.int64] = np.full(1024, NO_REST)
        #: Pair → whether its state is steady, its levels that are on, and the newest opening where it is resting.
        self.kinds: dict[Pair, tuple[bool, int, int]] = {}

    def __getitem__(self, pair: Pair) -> State:
        return self._states[pair]

    def get(self, pair: Pair, default: Any = None) -> Any:
        return self._states.get(pair, default)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def reach(self, largest: int) -> None:
        """Make the arrays long enough for that series."""
        if largest >= len(self.active):
            more = max(largest + 1, 2 * len(self.active)) - len(self.active)
            self.active = np.concatenate([self.active, np.zeros(more, np.bool_)])
            self.resting = np.concatenate([self.resting, np.full(more, NO_REST)])

    def change(self, changes: Mapping[Pair, State | None]) -> None:
        """Take over new states; None removes one."""
        for pair, state in changes.items():
            of_series = self._of_series.setdefault(pair[1], set())
            if state is None:
                self._states.pop(pair, None)
                self.kinds.pop(pair, None)
                of_series.discard(pair)
            else:
                self._states[pair] = state
                self.kinds[pair] = (state.is_steady, state.on, state.openings[-1] if state.is_resting else NO_REST)
                of_series.add(pair)
        for series in {series for _, series in changes}:
            self.reach(series)
            pairs = self._of_series[series]
            rests = [self.kinds[pair][2] for pair in pairs]
            self.active[series] = NO_REST in rests
            self.resting[series] = min(rests, default=NO_REST)
            if not pairs:
                del self._of_series[series]

"""Many readings as few points that still show every peak: minimum, maximum and mean of equal parts of the time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Envelope", "envelope"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One entry for each part that has readings, in order. ``places``: which of the parts it is, from 0."""

    places: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]


def envelope(times: NDArray[np.int64], values: NDArray[np.float64], start: int, end: int, parts: int) -> Envelope:
    """The readings (in time order, within [start, end), µs) in ``parts`` parts of the same length."""
    if not len(times):
        none = np.empty(0)
        return Envelope(np.empty(0, np.int64), none, none, none)
    places = (times - start) * parts // (end - start)
    begins = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
    counts = np.diff(np.append(begins, len(times)))
    return Envelope(
        places[begins],
        np.minimum.reduceat(values, begins),
        np.maximum.reduceat(values, begins),
        np.add.reduceat(values, begins) / counts,
    )

"""Fewer readings for a chart that look the same: in each stretch of time the smallest and the largest are kept."""

from __future__ import annotations

import numpy as np
from tsdownsample import MinMaxDownsampler

from telemetry.query.question import Points

__all__ = ["thinned"]


def thinned(points: Points, most: int) -> Points:
    """At most so many (at least 2) of the readings, every extreme of its stretch among them.

    The range from the first to the last reading is cut into most/2 stretches of the same length.
    """
    if len(points.times) <= most:
        return points
    kept = MinMaxDownsampler().downsample(
        np.ascontiguousarray(points.times), np.ascontiguousarray(points.values), n_out=max(2, most // 2 * 2)
    )
    kept = np.unique(kept.astype(np.int64))
    return Points(points.times[kept], points.values[kept])

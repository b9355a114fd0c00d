"""Pairs whose alert a person resolved: judging opens none for them until they were safe once."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

__all__ = ["await_safe"]

# What else the row of a pair says means nothing any more once it waits, but for its openings: they count towards flapping.
_WAIT = """
INSERT INTO thresholds_pairstate (threshold_id, series_id, shard, on_levels, since, counts, safe_since, waiting, openings,
    flapping, severity)
SELECT u.threshold_id, u.series_id, %s, 0, array_fill(NULL::bigint, ARRAY[4]), array_fill(0, ARRAY[4]),
    array_fill(NULL::bigint, ARRAY[4]), true, '{}', false, 0
FROM unnest(%s::bigint[], %s::int[]) AS u(threshold_id, series_id)
ON CONFLICT (threshold_id, series_id) DO UPDATE SET waiting = true
"""
_BUMP = """
INSERT INTO thresholds_shardjudging AS j (shard, epoch) VALUES (%s, 1) ON CONFLICT (shard) DO UPDATE SET epoch = j.epoch + 1
"""


def await_safe(shard: int | None, pairs: Sequence[tuple[int, int]]) -> None:
    """These (threshold, series) wait to be safe. The caller's transaction holds the lock of their shard; None: they are
    of no shard, and judging knows nothing of them."""
    thresholds, series = ([*column] for column in zip(*pairs, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_WAIT, [-1 if shard is None else shard, thresholds, series])
        if shard is not None:
            cursor.execute(_BUMP, [shard])

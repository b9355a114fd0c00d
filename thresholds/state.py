"""The clocks of a shard's pairs in the database: read when a shard is taken over, written with every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from thresholds.machine import Pair, State
from thresholds.states import States

__all__ = ["load_states", "save_late", "save_states"]

Connection = psycopg.Connection[Any]
_FIELDS = "on_levels, since, counts, safe_since, waiting, openings, flapping, quiet_since, severity"
# Columns travel as the text of an array: psycopg looks at every element of a list, which costs more than the statement.
# Rows of lists: PostgreSQL's unnest would flatten an array of arrays, so each is a text within the text.
_SAVE = f"""
INSERT INTO thresholds_pairstate (threshold_id, series_id, shard, {_FIELDS})
SELECT t, s, %s, o, since::bigint[], counts::int[], safe::bigint[], w, op::bigint[], f, q, sev
FROM unnest(%s::text::bigint[], %s::text::int[], %s::text::smallint[], %s::text::text[], %s::text::text[],
            %s::text::text[], %s::text::bool[], %s::text::text[], %s::text::bool[], %s::text::bigint[],
            %s::text::smallint[]) AS u(t, s, o, since, counts, safe, w, op, f, q, sev)
ON CONFLICT (threshold_id, series_id) DO UPDATE SET
    shard = excluded.shard, on_levels = excluded.on_levels, since = excluded.since, counts = excluded.counts,
    safe_since = excluded.safe_since, waiting = excluded.waiting, openings = excluded.openings,
    flapping = excluded.flapping, quiet_since = excluded.quiet_since, severity = excluded.severity
"""
_REMOVE = """
DELETE FROM thresholds_pairstate p USING unnest(%s::text::bigint[], %s::text::int[]) AS u(t, s)
WHERE p.threshold_id = u.t AND p.series_id = u.s
"""
_LATE = """
INSERT INTO thresholds_latebreaches AS l (threshold_id, series_id, count, newest, updated_at)
SELECT t, s, c, n, now() FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::bigint[]) AS u(t, s, c, n)
ON CONFLICT (threshold_id, series_id) DO UPDATE SET
    count = l.count + excluded.count, newest = greatest(l.newest, excluded.newest), updated_at = now()
"""


def load_states(connection: Connection, shard: int) -> States:
    """All states of a shard."""
    rows = connection.execute(
        f"SELECT threshold_id, series_id, {_FIELDS} FROM thresholds_pairstate WHERE shard = %s", [shard]
    ).fetchall()
    states = States()
    states.change({(threshold, series): _settled(State(*fields)) for threshold, series, *fields in rows})
    return states


def _settled(state: State) -> State:
    """Resolved by a person: no alert is live, whatever else the row still says."""
    return State(waiting=True, openings=state.openings) if state.waiting else state


def save_states(connection: Connection, shard: int, changes: Mapping[Pair, State | None]) -> None:
    """Write changed states; None removes one."""
    kept = [(pair, state) for pair, state in changes.items() if state is not None]
    if kept:
        rows = [
            (
                *(threshold, series, state.on, _quoted(state.since), _quoted(state.counts), _quoted(state.safe_since)),
                *(state.waiting, _quoted(state.openings), state.flapping, state.quiet_since, state.severity),
            )
            for (threshold, series), state in kept
        ]
        connection.execute(_SAVE, [shard, *(_array(column) for column in zip(*rows, strict=True))])
    gone = [pair for pair, state in changes.items() if state is None]
    if gone:
        connection.execute(_REMOVE, [_array(column) for column in zip(*gone, strict=True)])


def save_late(connection: Connection, late: Mapping[Pair, tuple[int, int]]) -> None:
    """Add to the counts of late readings that would have breached: (how many, newest event time)."""
    if late:
        rows = [(*pair, *counted) for pair, counted in sorted(late.items())]
        connection.execute(_LATE, [list(column) for column in zip(*rows, strict=True)])


def _array(column: Sequence[Any]) -> str:
    """Either numbers, truth values and None, or quoted texts, as PostgreSQL writes an array."""
    if column and isinstance(column[0], str):
        return "{" + ",".join(column) + "}"
    return "{" + str(list(column))[1:-1].replace("None", "NULL") + "}"


def _quoted(numbers: list[Any]) -> str:
    """An array as an element of another one."""
    return f'"{_array(numbers)}"'

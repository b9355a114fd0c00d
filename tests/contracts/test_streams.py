"""Any stream of readings, however it is cut into drains and whoever drains: the table is what a dictionary would be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.stores import DAY, NOON, Row, Store

pytestmark = pytest.mark.storage

#: Few series, instants and values, so that repeats, conflicts and late readings are the rule; some years apart.
ROWS = st.tuples(
    st.integers(1, 3),
    st.sampled_from([NOON + step for step in range(6)] + [NOON - 7 * DAY, NOON + 7 * DAY, 978_307_200_000_000]),
    st.sampled_from([1.0, 2.0, -0.0, 0.0]),
)
#: What happens before a drain: nothing, another process takes over (knowing nothing, or with the last or an older
#: checkpoint), or a checkpoint is saved.
EVENTS = st.sampled_from(["", "", "", "nothing", "checkpoint", "old checkpoint", "save"])
STREAMS = st.lists(st.tuples(EVENTS, st.lists(ROWS, max_size=12)), max_size=8)
#: The store is emptied for each example, so that one fixture does for all.
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def expected_of(rows: list[Row]) -> tuple[dict[tuple[int, int], float], list[bool], list[bool]]:
    """The table, and which rows are duplicates and conflicts, if they arrive in this order."""
    table: dict[tuple[int, int], float] = {}
    duplicate, conflict = [], []
    for series, at, value in rows:
        first = table.setdefault((series, at), value) if (series, at) in table else None
        duplicate.append(first is not None)
        conflict.append(first is not None and first != value)
        table.setdefault((series, at), value)
    return table, duplicate, conflict


def play(store: Store, stream: list[tuple[str, list[Row]]]) -> tuple[list[bool], list[bool], int]:
    """Drain a stream into an empty table; answers the masks of all rows, and how many rows were written."""
    store.connection.execute("TRUNCATE telemetry_reading")
    store.take_over()
    saved: list[tuple[bytes, bytes]] = []
    duplicate: list[bool] = []
    conflict: list[bool] = []
    written = 0
    for event, rows in stream:
        if event == "save":
            saved.append(store.frontier.checkpoint())
        elif event:
            known = {"checkpoint": saved[-1:], "old checkpoint": saved[:1]}.get(event, [])
            store.take_over(known[0] if known else None)
        stored = store.drain(*rows)
        duplicate += stored.duplicate.tolist()
        conflict += stored.conflict.tolist()
        written += len(stored.written)
    return duplicate, conflict, written


@EXAMPLES
@given(stream=STREAMS)
def test_the_table_is_a_dictionary_in_which_the_first_value_wins(
    store: Store, stream: list[tuple[str, list[Row]]]
) -> None:
    rows = [row for _, rows in stream for row in rows]
    table, duplicate, conflict = expected_of(rows)
    found_duplicate, found_conflict, written = play(store, stream)
    assert store.table() == table
    assert found_duplicate == duplicate
    assert found_conflict == conflict
    assert written + sum(duplicate) == len(rows)


@EXAMPLES
@given(rows=st.lists(ROWS, min_size=1, max_size=30), cuts=st.lists(st.integers(0, 30), max_size=6))
def test_how_a_stream_is_cut_into_drains_makes_no_difference(store: Store, rows: list[Row], cuts: list[int]) -> None:
    whole = play(store, [("", rows)])
    table = store.table()
    places = [0, *sorted(cuts), len(rows)]
    pieces = [("", rows[start:end]) for start, end in itertools.pairwise(places)]
    assert play(store, pieces) == whole
    assert store.table() == table

"""From a unique index to columns and back, over every engine: done where the server can be trusted with it, refused with the
reason elsewhere."""

from __future__ import annotations

import pytest

from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.conversion import Refused, to_columnar, to_indexed
from telemetry.timeseries.engine import engine_in_use
from tests.contracts.stores import NOON, Row, Store, counted

pytestmark = pytest.mark.storage
ROWS: list[Row] = [(series, NOON + 1000 * at, float(at)) for series in (1, 2) for at in range(50)]


def is_columnar(store: Store) -> bool:
    with store.connection.cursor() as cursor:
        return isinstance(engine_in_use(cursor), Columnar)


def test_there_and_back_or_a_reason(store: Store) -> None:
    store.drain(*ROWS)
    before, columnar = store.table(), is_columnar(store)
    with store.connection.cursor() as cursor:
        reason = unsound(cursor)
    if store.engine.name == "partitions" or reason is not None:
        if columnar:  # made so by a server that could then be trusted: the way back is open
            assert to_indexed(store.connection, print) is True
        with pytest.raises(Refused) as refused:
            to_columnar(store.connection, print)
        assert str(refused.value) == reason or "partitions" in str(refused.value)
        assert not is_columnar(store)
    else:
        for convert, wanted in ((to_indexed, False), (to_columnar, True), (to_indexed, False)):
            differs = is_columnar(store) != wanted
            assert convert(store.connection, print) is differs
            assert is_columnar(store) == wanted
            assert convert(store.connection, print) is False
    assert store.table() == before
    store.take_over()
    assert counted(store.drain(*ROWS, (3, NOON, 1.0))) == (1, 100, 0)


def test_what_is_to_be_sorted_is_asked_of_every_engine(store: Store) -> None:
    store.drain(*ROWS)
    with store.connection.cursor() as cursor:
        waiting = store.engine.unsorted(cursor, NOON)
        assert waiting == []
        later = store.engine.unsorted(cursor, NOON + 400 * 86_400_000_000)
    assert [chunk.rows for chunk in later] == ([not store.lands] if is_columnar(store) else [])

"""How much time a columnar chunk covers: as much as brings the wanted number of readings, for a chunk is sorted as a whole once
its time is over. Chosen anew as readings come; chunks of different widths are neighbours."""

from __future__ import annotations

from telemetry.timeseries.engine import TABLE, Cursor, as_microseconds, as_timestamp

__all__ = ["choose", "fit", "rate", "width"]

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
#: Widths divide each other as well as can be, so that a change leaves few cut ranges.
_LADDER = tuple(hours * _HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168))
#: Planning a query over all of them, and the locks it takes, grow with their number: 800 take 0.2 s and 2,400 locks.
_MOST_CHUNKS = 800
#: What is kept for ever is reckoned with as this.
_EVER_DAYS = 365
#: A width is kept while it brings between a quarter of the wanted number and half more than that.
_LEAST_SHARE, _MOST_SHARE = 0.25, 1.5
#: Ranges that begin sooner may be written to at any moment (devices' clocks are fast by minutes), and stay as they are.
_SOON = _HOUR
#: Bytes of a reading in the row store, without its index.
_ROW_BYTES = 52

#: One chunk, under a lock that keeps writers out of it, if it can be had at once.
_DROP_IF_EMPTY = f"""
DO $$ BEGIN
    LOCK TABLE {{chunk}} IN ACCESS EXCLUSIVE MODE NOWAIT;
    IF NOT EXISTS (SELECT FROM {{chunk}}) THEN
        PERFORM drop_chunks('{TABLE}', newer_than => timestamptz '{{start}}', older_than => timestamptz '{{end}}');
    END IF;
EXCEPTION WHEN lock_not_available THEN NULL;
END $$
"""
_ROWS = f"""
SELECT n.name, v.range_start, v.range_end, pg_relation_size(to_regclass(n.name)), s.compress_relid::regclass::text
FROM timescaledb_information.chunks v
CROSS JOIN LATERAL (SELECT format('%%I.%%I', v.chunk_schema, v.chunk_name) AS name) n
LEFT JOIN _timescaledb_catalog.compression_settings s ON s.relid = to_regclass(n.name)
WHERE v.hypertable_name = '{TABLE}' AND v.hypertable_schema = current_schema()
"""
_LATELY = f"{_ROWS} AND v.range_start < %s AND v.range_end > %s"
_AHEAD = f"{_ROWS} AND v.range_start >= %s"
_WIDTH = (
    "SELECT extract(epoch FROM time_interval)::bigint * 1000000 FROM timescaledb_information.dimensions "
    f"WHERE hypertable_name = '{TABLE}' AND hypertable_schema = current_schema()"
)


def choose(current: int, readings_a_second: float, wanted: int, most_days: int, keep_days: int) -> int:
    """The width (µs) of coming chunks: about ``wanted`` readings each, at most ``most_days``, and so wide that what is kept
    (``keep_days``, 0: for ever) is not in too many chunks. ``current`` where nothing came, or where it is near enough."""
    least = (keep_days or _EVER_DAYS) * _DAY / _MOST_CHUNKS
    allowed = [width for width in _LADDER if least <= width <= most_days * _DAY] or [most_days * _DAY]

    def readings(width: int) -> float:
        return readings_a_second * width / 1e6

    if not readings_a_second or (
        current in allowed and _LEAST_SHARE * wanted <= readings(current) <= _MOST_SHARE * wanted
    ):
        return min(max(current, allowed[0]), allowed[-1])
    return max((width for width in allowed if readings(width) <= wanted), default=allowed[0])


def width(cursor: Cursor) -> int:
    """The width (µs) of coming chunks, as the hypertable has it."""
    cursor.execute(_WIDTH, [])
    return int(cursor.fetchone()[0])


def rate(cursor: Cursor, now: int) -> float:
    """Readings a second of event time in the chunks that the last day touched, up to now (µs)."""
    cursor.execute(_LATELY, [as_timestamp(now), as_timestamp(now - _DAY)])
    readings, span = 0.0, 0
    for _, start, end, row_bytes, columns in cursor.fetchall():
        readings += row_bytes / _ROW_BYTES
        if columns is not None:
            cursor.execute(f"SELECT coalesce(sum(_ts_meta_count), 0)::bigint FROM {columns}")
            readings += cursor.fetchone()[0]
        span += min(as_microseconds(end), now) - as_microseconds(start)
    return readings / span * 1e6 if span else 0.0


def fit(cursor: Cursor, now: int, wanted: int, most_days: int, keep_days: int) -> bool:
    """Choose the width of coming chunks by what came; empty ones ahead that were made for another are dropped. Answers
    whether it changed. ``cursor`` is in autocommit mode."""
    current = width(cursor)
    chosen = choose(current, rate(cursor, now), wanted, most_days, keep_days)
    if chosen == current:
        return False
    cursor.execute(f"SELECT set_chunk_time_interval('{TABLE}', make_interval(secs => %s))", [chosen / 1e6])
    cursor.execute(_AHEAD, [as_timestamp(now + _SOON)])
    for chunk, start, end, row_bytes, columns in cursor.fetchall():
        if not row_bytes and columns is None:
            cursor.execute(_DROP_IF_EMPTY.format(chunk=chunk, start=start.isoformat(), end=end.isoformat()))
    return True

"""What the log server remembers of series that were registered lately, for a database that fails over to an older copy.

The log then still has readings of series that the copy lacks. Whoever meets one, intake or a drain, registers it again
under the id that it had; and ids that were given out already are not given to others, though the copy's sequence would.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import redis

from telemetry.log import keys
from telemetry.log.redis_streams import RedisLog

__all__ = ["Definition", "YoungSeries"]

#: Id, device id, device name, metric, boolean.
Definition = tuple[int, int, str, str, bool]

_SECONDS_A_DAY = 86_400
#: Held by whoever registers series, until commit: ids are remembered in the order in which they are given out.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('telemetry_series'))"
_SKIP_GIVEN_OUT = """
SELECT setval(s.name, %s) FROM (SELECT pg_get_serial_sequence('telemetry_series', 'id') AS name) s
WHERE (SELECT last_value FROM pg_sequences WHERE schemaname || '.' || sequencename = s.name) IS NULL
   OR (SELECT last_value FROM pg_sequences WHERE schemaname || '.' || sequencename = s.name) < %s
"""
_REVIVE = """
INSERT INTO telemetry_series (id, device_id, metric, boolean, created_at)
SELECT u.id, u.device, u.metric, u.boolean, now()
FROM unnest(%s::int[], %s::bigint[], %s::text[], %s::text[], %s::boolean[]) AS u(id, device, name, metric, boolean)
JOIN telemetry_device d ON d.id = u.device AND d.name = u.name
WHERE NOT EXISTS (SELECT 1 FROM telemetry_purgedseries p WHERE p.series_id = u.id)
ON CONFLICT DO NOTHING
"""


class YoungSeries:
    """Every method may raise LogDown. ``cursor`` is of an open transaction, which must roll back then."""

    def __init__(self, log: RedisLog) -> None:
        self._log = log

    def begin(self, cursor: Any, pairs: Iterable[tuple[int, str]]) -> None:
        """Before these (device id, metric) are registered: bring back those that were, and skip ids given out."""
        cursor.execute(_ONE_AT_A_TIME)
        fields = [_by_name(device, metric) for device, metric in pairs]
        highest, ids = self._ask(fields)
        if highest:
            cursor.execute(_SKIP_GIVEN_OUT, [highest, highest])
        self._register_again(cursor, {int(series) for series in ids if series is not None})

    def remember(self, made: list[Definition]) -> None:
        """Before the commit that registers them."""
        if not made:
            return
        content: dict[Any, Any] = {}
        for definition in made:
            series, device, _, metric, _ = definition
            content[str(series)] = json.dumps(definition)
            content[_by_name(device, metric)] = str(series)
        key = keys.young_series(_today())

        def write(client: redis.Redis) -> None:
            pipe = client.pipeline(transaction=True)
            pipe.hset(key, mapping=content)
            pipe.expire(key, 2 * _SECONDS_A_DAY)
            pipe.set(keys.HIGHEST_SERIES, max(definition[0] for definition in made))
            pipe.execute()

        self._log.call(write)

    def bring_back(self, connection: Any, missing: Iterable[int]) -> None:
        """Register those of these ids again that are remembered, and whose device is still there."""
        definitions = self._definitions(set(missing))
        if definitions:
            connection.execute(_ONE_AT_A_TIME)
            connection.execute(_REVIVE, _columns(definitions))

    # --- inside -------------------------------------------------------------------------------------------------

    def _register_again(self, cursor: Any, ids: set[int]) -> None:
        definitions = self._definitions(ids)
        if definitions:
            cursor.execute(_REVIVE, _columns(definitions))

    def _definitions(self, ids: set[int]) -> list[Definition]:
        _, found = self._ask([str(series) for series in sorted(ids)])
        return [tuple(json.loads(text)) for text in found if text is not None]

    def _ask(self, fields: list[str]) -> tuple[int, list[bytes | None]]:
        """The highest id that was given out, and what the days around now have in these fields."""
        if not fields:
            return 0, []
        days = [keys.young_series(_today() + step) for step in (-1, 0, 1)]

        def read(client: redis.Redis) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            pipe.get(keys.HIGHEST_SERIES)
            for key in days:
                pipe.hmget(key, fields)
            return list(pipe.execute())

        highest, *found = self._log.call(read)
        newest = [next((each for each in column if each is not None), None) for column in zip(*found, strict=True)]
        return int(highest or 0), newest


def _by_name(device: int, metric: str) -> str:
    return f"{device}/{metric}"


def _columns(definitions: list[Definition]) -> list[list[Any]]:
    return [list(column) for column in zip(*definitions, strict=True)]


def _today() -> int:
    return int(time.time()) // _SECONDS_A_DAY

"""Keeps a process's registry true: one thread asks the database every REGISTRY_POLL_SECONDS what changed.

What changed is forgotten at once, and what the process had known of it is then read anew in bulk (`anew.py`), so that
requests need not ask for it one by one. What they ask for first is theirs to keep.

The order of ids is not the order of commits, so changes are followed by transaction: everything below the oldest
transaction that is still running has been seen for good, the rest is asked for again. Forgetting twice does no harm.
"""

from __future__ import annotations

import logging
import threading
import time
from itertools import islice
from typing import Any

import psycopg
from django.conf import settings

from telemetry.database import connect
from telemetry.registry.anew import read_devices, read_keys
from telemetry.registry.registry import Forgotten, Registry, registry

logger = logging.getLogger(__name__)

_CHANGES = """
WITH seen AS (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin),
     layout AS (SELECT shards, epoch, open FROM telemetry_loglayout)
SELECT seen.xmin, layout.shards, layout.epoch, layout.open, c.kind, c.object_id
FROM seen CROSS JOIN layout LEFT JOIN telemetry_registrychange c ON c.xid >= %s
"""
# The rows are locked in one order, so that two processes cannot wait for each other.
_FLUSH_USED = """
WITH used AS (
    SELECT k.id, u.at FROM unnest(%s::bigint[], %s::float8[]) AS u(id, at) JOIN telemetry_devicekey k ON k.id = u.id
    ORDER BY k.id FOR NO KEY UPDATE OF k
)
UPDATE telemetry_devicekey k SET last_used_at = greatest(k.last_used_at, to_timestamp(used.at)) FROM used WHERE used.id = k.id
"""
_EVERYTHING = 1 << 62
_FLUSH_USED_EVERY = 10.0
#: Devices or keys read anew by one statement, and how long (s) between two looks: the next look must not be late.
_ANEW_AT_ONCE = 500
_ANEW_SECONDS = 0.25


class Watch:
    """The watching thread of one process. ``start`` may be called from any thread."""

    def __init__(self, watched: Registry) -> None:
        self._registry = watched
        self._since = _EVERYTHING
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._flushed_at = time.monotonic()
        #: Forgotten, and not read anew yet.
        self._missing = Forgotten(set(), set())

    def start(self) -> None:
        """Start watching in this process, once; the first look is done before this returns.

        Does not raise where the database is down: the registry is then stale, and the thread goes on trying.
        """
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._looked.clear()
                    self._stopping.clear()
                    self._thread = threading.Thread(target=self._run, name="registry-watch", daemon=True)
                    self._thread.start()
        if not self._looked.is_set():  # a process's first requests come together: all of them wait, not only the first
            self._looked.wait(settings.PLATFORM.database_timeout_seconds + 1)

    def stop(self) -> None:
        """Stop watching; the registry is stale from now on."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopping.set()
            thread.join()
        self._since = _EVERYTHING
        self._missing = Forgotten(set(), set())
        self._registry.heard_at = float("-inf")

    def _run(self) -> None:
        pause = settings.PLATFORM.registry_poll_seconds
        while not self._stopping.is_set():
            try:
                with connect(autocommit=True) as connection:
                    # Intake is closed while this waits: soon a new connection may be better than this one.
                    connection.patience = settings.PLATFORM.database_timeout_seconds + 1
                    self._since = _EVERYTHING
                    while not self._stopping.is_set():
                        self.look(connection)
                        self._looked.set()
                        self.read_anew(connection)
                        self._flush_used(connection)
                        self._stopping.wait(pause)
            except Exception as error:
                # At once, not only when it has become stale: a request must not wait for a database that is away.
                self._registry.heard_at = float("-inf")
                self._looked.set()
                logger.warning("registry_watch_failed", extra={"error": str(error)})
                self._stopping.wait(pause)

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Ask once what changed, and forget it."""
        asked_at = time.monotonic()
        rows = connection.execute(_CHANGES, [self._since]).fetchall()
        if not rows:
            raise LookupError("the log's layout is missing: run `manage.py migrate`")
        xmin, shards, epoch, is_open = rows[0][:4]
        if self._since == _EVERYTHING:  # changes may have been pruned, or be another database's
            self._miss(self._registry.forget(set(), set(), everything=True))
        devices = {object_id for *_, kind, object_id in rows if kind == "device"}
        keys = {object_id for *_, kind, object_id in rows if kind == "key"}
        everything = any(kind == "all" for *_, kind, _ in rows)
        if devices or keys or everything:
            self._miss(self._registry.forget(devices, keys, everything))
        self._since = xmin
        self._miss(self._registry.use_layout(shards, epoch, is_open))
        self._registry.heard_at = asked_at

    def read_anew(self, connection: psycopg.Connection[Any]) -> None:
        """Read what was forgotten, as far as there is time before the next look; the rest comes after that."""
        devices, keys = self._missing
        until = time.monotonic() + _ANEW_SECONDS
        while (devices or keys) and time.monotonic() < until:
            some_devices, some_keys = _some(devices), _some(keys)
            # After this number was taken: what changes from now on is seen by the next look, and forgotten once more.
            loads = self._registry.loads
            self._registry.learn(read_devices(connection, some_devices), read_keys(connection, some_keys), loads)
            devices -= some_devices
            keys -= some_keys

    def _miss(self, gone: Forgotten) -> None:
        self._missing.devices.update(gone.devices)
        self._missing.keys.update(gone.keys)

    def _flush_used(self, connection: psycopg.Connection[Any]) -> None:
        """When keys were last used is worth a write every few seconds, not one a request."""
        if time.monotonic() - self._flushed_at < _FLUSH_USED_EVERY:
            return
        self._flushed_at = time.monotonic()
        if used := self._registry.take_used():
            # One statement: a COMMIT for each of thousands of keys would keep the watch from looking, and intake closed.
            connection.execute(_FLUSH_USED, [list(used), list(used.values())])


def _some(ids: set[int]) -> set[int]:
    return set(islice(ids, _ANEW_AT_ONCE))


watch = Watch(registry)

"""Worker processes that die between any two statements of a drain, or while one is under way, or lose their connection."""

from __future__ import annotations

import enum
import select
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.waiting import Ready, Wait

from iotplatform.pipeline import ShardDrain
from telemetry.deadline import BoundedConnection
from tests.iotplatform.pipeline.parts import Clock, Killed, drains_connection, new_drain


class When(enum.Enum):
    """When, of a round trip to the database."""

    BEFORE = "before"
    #: The server has the statement, and goes on with it or not: nobody hears what came of it.
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Death:
    """At which round trip to the database, counted from the beginning of a drain. ``cut``: only the connection is lost."""

    trip: int
    when: When
    cut: bool = False


@dataclass(slots=True)
class Fuse:
    """Counts the round trips of a drain up to its death."""

    death: Death | None = None
    trips: int = 0
    #: The backends that served connections which ended so.
    left_behind: list[int] = field(default_factory=list)


class MortalConnection(BoundedConnection):
    """Ends where its fuse says. Every command is a round trip: BEGIN, COMMIT and the parts of a COPY too."""

    fuse: Fuse

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        fuse = getattr(self, "fuse", None)
        if fuse is None or fuse.death is None:
            return super().wait(gen, *arguments, **options)
        death, trip = fuse.death, fuse.trips
        fuse.trips += 1
        if trip < death.trip:
            return super().wait(gen, *arguments, **options)
        if trip == death.trip:
            fuse.left_behind.append(self.info.backend_pid)
            if death.when is When.DURING:
                _send(gen, self.pgconn.socket)
            elif death.when is When.AFTER:
                super().wait(gen, *arguments, **options)
            self.pgconn.finish()
        # Beyond it: what `with` blocks do on their way out. The dead do nothing.
        raise psycopg.OperationalError("the connection is lost") if death.cut else Killed()


def _send(gen: Generator[Wait, Ready, Any], socket: int) -> None:
    """Drive a command until all of it is sent; its answer is not waited for."""
    try:
        asked = next(gen)
        while asked & Wait.W:
            _, writable, _ = select.select([], [socket], [], 5)
            asked = gen.send(Ready.W if writable else Ready.NONE)
    except StopIteration:
        return  # it has no answer


class Process:
    """A worker: a drain for each shard and what they remember, until it dies and another takes its place."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self._clock = clock
        self._options = options
        self._fuse = Fuse()
        self._drains: dict[int, ShardDrain] = {}

    def drain(self, shard: int, death: Death | None = None) -> list[int]:
        """One drain, which ends by ``death`` if it gets so far; answers the backends that it left behind."""
        if shard not in self._drains:
            self._drains[shard] = new_drain(clock=self._clock, shard=shard, connect=self._connect, **self._options)
        self._fuse.death, self._fuse.trips, self._fuse.left_behind = death, 0, []
        try:
            self._drains[shard].drain()
        except Killed:
            self._drains.clear()
        except psycopg.OperationalError:
            assert death is not None and death.cut
        return self._fuse.left_behind

    def _connect(self) -> BoundedConnection:
        connection = drains_connection(MortalConnection)
        assert isinstance(connection, MortalConnection)
        connection.fuse = self._fuse
        return connection

"""Judging: what the drain hands every stored chunk to, in log order, inside its transaction."""

from __future__ import annotations

from typing import Any, Protocol

import psycopg

from telemetry.store.chunk import Chunk


class Judge(Protocol):
    """Judges chunks. One may raise: the readings are stored all the same, and the chunk is judged later."""

    def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Chunk) -> None:
        """Judge the chunk's readings; entries whose payload says ``judge=False`` are not to be judged."""


class NoThresholds:
    """The judge of a platform that has no thresholds."""

    def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Chunk) -> None:
        """Nothing to judge by."""

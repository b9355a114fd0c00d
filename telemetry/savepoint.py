"""Savepoints for a pipeline, in which statements are sent one after the other and their answers come together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

__all__ = ["savepoint"]


@contextmanager
def savepoint(connection: psycopg.Connection[Any], pipeline: psycopg.Pipeline) -> Iterator[None]:
    """What is done inside is taken back where it raises, and what was done before it stays. In a transaction and a pipeline
    of the connection.

    ``connection.transaction()`` does the same and waits four times for the server; this waits once, at its end, and only
    for statements whose answers are still out: they may have failed.
    """
    with psycopg.Transaction(connection):
        try:
            yield
            if pipeline.result_queue:
                pipeline.sync()
        except BaseException:
            # Until it has synchronised, the server refuses whatever follows a failure.
            with suppress(psycopg.Error):
                pipeline.sync()
            raise

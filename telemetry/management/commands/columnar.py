"""`manage.py columnar`: whether large drains land in compressed columns, and the way there and back."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from telemetry.compaction import backlog
from telemetry.database import connect
from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.conversion import Refused, to_columnar, to_indexed
from telemetry.timeseries.engine import engine_in_use


class Command(BaseCommand):
    help = (
        "TimescaleDB only. `on` exchanges the unique index for columnar landing, `off` brings it back, `status` says how it is. "
        "The platform may run: readings are accepted and wait while the index is built. Whatever was interrupted goes on when "
        "it is started again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("do", choices=("on", "off", "status"))

    def handle(self, do: str, **options: Any) -> None:
        config = settings.PLATFORM
        if do == "on" and config.timeseries_columnar == "off":
            raise CommandError("TIMESERIES_COLUMNAR is off, so drains would go on writing rows: set it to auto first.")
        with connect(autocommit=True) as connection:
            connection.let_statements_take(0)
            if do == "status":
                for line in _status(connection, config):
                    self.stdout.write(line)
                return
            try:
                changed = (to_columnar if do == "on" else to_indexed)(connection, self.stdout.write)
            except Refused as error:
                raise CommandError(str(error)) from error
        kind = "columnar" if do == "on" else "indexed"
        self.stdout.write(
            f"The readings table is {kind} now; drains go on with that." if changed else f"It is {kind} already."
        )


def _status(connection: psycopg.Connection[Any], config: Any) -> Iterator[str]:
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        if engine.name != "timescale":
            yield "Readings are in partitions of plain PostgreSQL: rows, with a unique index."
            return
        reason = unsound(cursor)
        if isinstance(engine, Columnar):
            yield "The readings table is columnar: no unique index, large drains land in compressed columns."
            if config.timeseries_columnar == "off" or reason:
                yield f"But drains write rows: {reason or 'TIMESERIES_COLUMNAR is off.'}"
        else:
            yield "The readings table is indexed: rows with a unique index, compressed when they are old."
            yield f"It cannot be columnar: {reason}" if reason else "It can be columnar: `manage.py columnar on`."
        found = backlog(cursor, config)
    yield (
        f"{found.chunks} chunks, {found.landed} with columns as they were landed, {found.rows} with rows; {found.due} are due to "
        "be sorted."
    )

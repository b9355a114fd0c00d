"""The rows of a table as chunks of readings, and the rows or cells that are none, with their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from telemetry.importing.cells import InvalidCell, Times, Values
from telemetry.importing.columns import Layout
from telemetry.importing.table import Table
from telemetry.intake.batch import Columns, Rejection

__all__ = ["Chunk", "read_chunks"]


@dataclass(slots=True)
class Chunk:
    """Some rows of the file, as intake takes them: `columns.index` is the line of each value, and so is a rejection's.

    `empty` counts value cells with nothing in them.
    """

    columns: Columns
    empty: int


@dataclass(slots=True)
class _Run:
    """The values of one metric, in the file's order."""

    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


class _Builder:
    def __init__(self, device: str, layout: Layout, times: Times, values: Values) -> None:
        self._device, self._layout = device, layout
        self._times, self._values = times, values
        self._start()

    def _start(self) -> None:
        self._runs = {metric: _Run() for _, metric in self._layout.metrics}
        self._rejections: list[Rejection] = []
        self._empty = 0
        self.size = 0

    def add(self, line: int, row: list[str]) -> None:
        """Take one row apart."""
        if len(row) <= self._layout.last_column:
            needed = self._layout.last_column + 1
            return self._reject(line, row, None, "malformed", f"{len(row)} cells, but {needed} are needed")
        try:
            time = self._times.parse(row[self._layout.time])
        except InvalidCell as error:
            return self._reject(line, row, None, error.code, str(error))
        for place, metric in self._layout.metrics:
            try:
                value = self._values.parse(row[place])
            except InvalidCell as error:
                self._reject(line, row, (place, metric), error.code, str(error))
                continue
            if value is None:
                self._empty += 1
                continue
            run = self._runs[metric]
            run.times.append(time)
            run.values.append(value)
            run.lines.append(line)
            self.size += 1
        return None

    def finish(self) -> Chunk:
        """The rows added so far; the next ones begin a new chunk."""
        runs = {metric: run for metric, run in self._runs.items() if run.times}
        values = [value for run in runs.values() for value in run.values]
        boolean = np.fromiter((value is True or value is False for value in values), np.bool_, len(values))
        columns = Columns(
            devices=[self._device] * len(runs),
            metrics=list(runs),
            runs=np.array([len(run.times) for run in runs.values()], np.int64),
            times=np.array([time for run in runs.values() for time in run.times], np.int64),
            values=np.array(values, np.float64),
            index=np.array([line for run in runs.values() for line in run.lines], np.int32),
            boolean=boolean if boolean.any() else None,
            rejections=self._rejections,
        )
        chunk = Chunk(columns, self._empty)
        self._start()
        return chunk

    def _reject(self, line: int, row: list[str], cell: tuple[int, str] | None, code: str, detail: str) -> None:
        """Refuse a cell, or a whole row with all its values."""
        metrics = self._layout.metrics if cell is None else (cell,)
        reading = {
            "device": self._device,
            "time": row[self._layout.time] if self._layout.time < len(row) else None,
            "metrics": {metric: row[place] for place, metric in metrics if place < len(row)},
        }
        where = "time" if code == "invalid_time" else f"metrics.{cell[1]}" if cell else ""
        payload = json.dumps(reading, ensure_ascii=False)[:_PAYLOAD_CHARACTERS]
        self._rejections.append(
            Rejection(line, where[:200], code, f"line {line}: {detail}", self._device[:200], payload, len(metrics))
        )
        self.size += 1


_PAYLOAD_CHARACTERS = 2000


def read_chunks(table: Table, layout: Layout, device: str, times: Times, most: int) -> Iterator[Chunk]:
    """The table's rows in chunks of about `most` readings and rejections (a row is never cut in two)."""
    builder = _Builder(device, layout, times, Values(table.delimiter))
    for line, row in table.rows():
        builder.add(line, row)
        if builder.size >= most:
            yield builder.finish()
    yield builder.finish()

"""The rows of a table as chunks of readings, and the rows or cells that are none, with their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from telemetry.importing.cells import InvalidCell, Times, Values
from telemetry.importing.columns import Layout
from telemetry.importing.table import Table
from telemetry.intake.batch import Float64, Int64, Rejection

__all__ = ["Chunk", "MetricColumn", "read_chunks"]


@dataclass(slots=True)
class MetricColumn:
    """Readings of one metric in the file's order. `lines` says where each stands in the file."""

    metric: str
    times: Int64  #: µs since 1970, UTC
    values: Float64
    lines: Int64
    booleans: int  #: how many of the values were true or false


@dataclass(slots=True)
class Chunk:
    """Some rows of the file. `rejections` have the line as their index; `empty` counts empty value cells."""

    columns: list[MetricColumn] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    empty: int = 0

    def __len__(self) -> int:
        return sum(len(column.times) for column in self.columns)


class _Builder:
    def __init__(self, device: str, layout: Layout, times: Times, values: Values) -> None:
        self._device, self._layout = device, layout
        self._times, self._values = times, values
        self._start()

    def _start(self) -> None:
        self._readings: dict[str, tuple[list[int], list[float], list[int]]] = {
            metric: ([], [], []) for _, metric in self._layout.metrics
        }
        self._booleans = dict.fromkeys(self._readings, 0)
        self._chunk = Chunk()
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
                self._chunk.empty += 1
                continue
            times, values, lines = self._readings[metric]
            times.append(time)
            values.append(value)
            lines.append(line)
            self._booleans[metric] += value is True or value is False
            self.size += 1
        return None

    def finish(self) -> Chunk:
        """The rows added so far; the next ones begin a new chunk."""
        chunk = self._chunk
        chunk.columns = [
            MetricColumn(
                metric,
                np.array(times, np.int64),
                np.array(values, np.float64),
                np.array(lines, np.int64),
                self._booleans[metric],
            )
            for metric, (times, values, lines) in self._readings.items()
            if times
        ]
        self._start()
        return chunk

    def _reject(self, line: int, row: list[str], cell: tuple[int, str] | None, code: str, detail: str) -> None:
        """One rejection of a cell, or of a whole row with all its values."""
        metrics = self._layout.metrics if cell is None else (cell,)
        reading = {
            "device": self._device,
            "time": row[self._layout.time] if self._layout.time < len(row) else None,
            "metrics": {metric: row[place] for place, metric in metrics if place < len(row)},
        }
        where = "time" if code == "invalid_time" else f"metrics.{cell[1]}" if cell else ""
        payload = json.dumps(reading, ensure_ascii=False)
        self._chunk.rejections.append(
            Rejection(line, where[:200], code, f"line {line}: {detail}", self._device[:200], payload, len(metrics))
        )
        self.size += 1


def read_chunks(table: Table, layout: Layout, device: str, times: Times, most: int) -> Iterator[Chunk]:
    """The table's rows in chunks of about `most` readings and rejections (a row is never cut in two)."""
    builder = _Builder(device, layout, times, Values(table.delimiter))
    for line, row in table.rows():
        builder.add(line, row)
        if builder.size >= most:
            yield builder.finish()
    if builder.size:
        yield builder.finish()

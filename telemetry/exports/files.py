"""Answers written to a file, a piece at a time: CSV as the API streams it, Parquet in typed columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from telemetry.api.aggregate_formats import csv_head, csv_rows, tabular
from telemetry.query.question import Answer, Question, RawAnswer

__all__ = ["CsvFile", "ExportFile", "ParquetFile", "open_file"]

#: Rows that are collected before they are written: a row group of Parquet.
_GROUP = 100_000


class ExportFile(Protocol):
    """Written to once, from its beginning to `close`, which leaves it whole on disk."""

    rows: int

    def write(self, answer: Answer | RawAnswer) -> None: ...

    def close(self) -> None: ...


def open_file(kind: str, path: Path, question: Question, notes: Mapping[str, str]) -> ExportFile:
    """`kind` is csv or parquet; `notes` go into the metadata where the format has any. Raises OSError."""
    return CsvFile(path, question) if kind == "csv" else ParquetFile(path, question, notes)


class CsvFile:
    """RFC 4180; times in the question's zone with their offset, no cell that a spreadsheet takes for a formula."""

    def __init__(self, path: Path, question: Question) -> None:
        self.rows = 0
        self._whole = question
        self._file = path.open("w", encoding="utf-8", newline="")
        self._file.write(csv_head(question))

    def write(self, answer: Answer | RawAnswer) -> None:
        for chunk in csv_rows(answer, self._whole):
            self.rows += chunk.count("\r\n")
            self._file.write(chunk)

    def close(self) -> None:
        self._file.close()


class ParquetFile:
    """device or group and metric (dictionary), time (timestamp[us, UTC]), the functions (float64), count (int64).

    For readings: value (float64), where true and false are 1 and 0.
    """

    def __init__(self, path: Path, question: Question, notes: Mapping[str, str]) -> None:
        # Here, not above: 60 MiB of a worker's memory, for those that make such files only.
        import pyarrow
        import pyarrow.parquet

        self.rows = 0
        self._arrow = pyarrow
        self._kinds = [kind for kind in ("device", "group") if any(getattr(each, kind) for each in question.lines)]
        self._kinds = self._kinds or ["device"]
        self._functions = ["value"] if question.bucket is None else _functions(question)
        self._schema = self._schema_of(notes)
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def _schema_of(self, notes: Mapping[str, str]) -> Any:
        pa = self._arrow
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [pa.field(name, text) for name in (*self._kinds, "metric")]
        fields.append(pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False))
        fields += [pa.field(name, pa.int64() if name == "count" else pa.float64()) for name in self._functions]
        return pa.schema(fields, metadata=dict(notes))

    def write(self, answer: Answer | RawAnswer) -> None:
        for line, times, columns in tabular(answer):
            if len(times):
                self._waiting.append(self._batch(line, times, columns))
                self.rows += len(times)
                self._waiting_rows += len(times)
                if self._waiting_rows >= _GROUP:
                    self._flush()

    def _batch(self, line: Any, times: Any, columns: Mapping[str, Any]) -> Any:
        pa, many = self._arrow, len(times)
        arrays = [self._repeated(getattr(line, name), many) for name in (*self._kinds, "metric")]
        arrays.append(pa.array(times, pa.int64()).cast(pa.timestamp("us", tz="UTC")))
        for name in self._functions:
            column = columns[name]
            # What is not a number is nothing: a bucket without a reading, or without a value of this kind.
            missing = None if name == "count" else np.isnan(column)
            arrays.append(pa.array(column, pa.int64() if name == "count" else pa.float64(), mask=missing))
        return pa.record_batch(arrays, schema=self._schema)

    def _repeated(self, text: str | None, many: int) -> Any:
        pa = self._arrow
        places = pa.array(np.zeros(many, np.int32), mask=np.full(many, text is None))
        return pa.DictionaryArray.from_arrays(places, pa.array([text or ""], pa.string()))

    def _flush(self) -> None:
        if self._waiting:
            table = self._arrow.Table.from_batches(self._waiting, self._schema)
            self._waiting, self._waiting_rows = [], 0
            self._writer.write_table(table.unify_dictionaries())

    def close(self) -> None:
        self._flush()
        self._writer.close()


def _functions(question: Question) -> list[str]:
    return [*(name for name in question.functions if name != "count"), "count"]

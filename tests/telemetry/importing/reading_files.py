"""Files for the import, and what is read from them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path

from telemetry.importing.cells import Times, is_data
from telemetry.importing.chunks import Chunk, read_chunks
from telemetry.importing.columns import find_layout
from telemetry.importing.table import Table
from telemetry.importing.text_file import TextFile
from telemetry.intake.batch import Rejection

NAB = Path(__file__).resolve().parents[4] / "shared" / "data" / "nab"


def written(folder: Path, content: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def chunks_of(path: Path, zone: tzinfo = UTC, most: int = 1000, **options: str | None) -> list[Chunk]:
    """Everything in the file, as the import reads it."""
    wanted = {"time_column": None, "value_column": None, "metric": None} | options
    with TextFile(path) as file:
        table = Table(file, is_data)
        return list(read_chunks(table, find_layout(table, zone, **wanted), "device", Times(zone), most))


def readings_of(path: Path, **options: object) -> dict[str, list[tuple[str, float]]]:
    """Metric to its (time as ISO in UTC, value)."""
    found: dict[str, list[tuple[str, float]]] = {}
    for chunk in chunks_of(path, **options):
        columns, start = chunk.columns, 0
        for metric, length in zip(columns.metrics, columns.runs.tolist(), strict=True):
            rows = slice(start, start + length)
            pairs = zip(columns.times[rows].tolist(), columns.values[rows].tolist(), strict=True)
            found.setdefault(metric, []).extend((iso(time), value) for time, value in pairs)
            start += length
    return found


def rejections_of(path: Path, **options: object) -> list[Rejection]:
    return [rejection for chunk in chunks_of(path, **options) for rejection in chunk.columns.rejections]


def iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")

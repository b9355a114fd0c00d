"""Which column of a table is the time and which are values. Where that is not plain, it asks instead of guessing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from telemetry.importing.cells import InvalidCell, Times, Values, is_time
from telemetry.importing.table import Table
from telemetry.importing.text_file import UnusableFile

__all__ = ["Layout", "find_layout"]

_TIME_NAMES = ("timestamp", "time", "ts", "datetime", "date")
_VALUE_NAME = "value"


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of the columns, from 0; `metrics` are (place, metric name); `left_out` are columns nobody asked for."""

    time: int
    metrics: tuple[tuple[int, str], ...]
    left_out: tuple[str, ...]

    @property
    def last_column(self) -> int:
        return max(self.time, *(place for place, _ in self.metrics))


def find_layout(
    table: Table, zone: tzinfo, *, time_column: str | None, value_column: str | None, metric: str | None
) -> Layout:
    """The layout asked for, or the only one that makes sense. Raises UnusableFile."""
    names = table.names or [f"column {number}" for number in range(1, table.width + 1)]
    time = _place(names, time_column) if time_column is not None else _find_time(table, names, zone)
    if value_column is not None:
        places = [_place(names, value_column)]
        if places == [time]:
            raise UnusableFile(f"{value_column!r} is the column of the times")
    else:
        places = _find_values(table, names, time)
    if metric is not None and len(places) > 1:
        columns = ", ".join(repr(names[place]) for place in places)
        raise UnusableFile(f"--metric names one metric, but there are values in {columns}: say --value-column too")
    left_out = tuple(
        names[place]
        for place in range(len(names))
        if place not in (*places, time) and any(row[place : place + 1] not in ([], [""]) for row in table.sample)
    )
    metrics = _metrics(table, places, metric)
    return Layout(time, metrics, left_out)


def _place(names: list[str], wanted: str) -> int:
    """A column by its name (letter case aside), or by its number from 1."""
    for places in (
        [place for place, name in enumerate(names) if name == wanted],
        [place for place, name in enumerate(names) if name.lower() == wanted.strip().lower()],
    ):
        if len(places) == 1:
            return places[0]
        if places:
            raise UnusableFile(f"there are {len(places)} columns {wanted!r}; say which by its number, from 1")
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return int(wanted) - 1
    raise UnusableFile(f"there is no column {wanted!r}; the file has {', '.join(names)}")


def _find_time(table: Table, names: list[str], zone: tzinfo) -> int:
    named = [place for place, name in enumerate(names) if name.lower() in _TIME_NAMES]
    fitting = [place for place in named if _share(table, place, lambda text: _reads_as_time(zone, text)) > 0.5]
    if not fitting:
        fitting = [place for place in range(len(names)) if _share(table, place, is_time) > 0.9]
    if len(fitting) == 1 and not (len(named) == 2 and {names[place].lower() for place in named} == {"date", "time"}):
        return fitting[0]
    if len(named) == 2 and not all(place in fitting for place in named):
        raise UnusableFile(
            f"date and time stand in two columns ({', '.join(names[p] for p in named)}): join them into one"
        )
    if fitting:
        columns = ", ".join(names[place] for place in fitting)
        raise UnusableFile(f"several columns could be the time ({columns}): say --time-column")
    raise UnusableFile(f"no column holds times: say --time-column, one of {', '.join(names)}")


def _find_values(table: Table, names: list[str], time: int) -> list[int]:
    for place, name in enumerate(names):
        if name.lower() == _VALUE_NAME and place != time:
            return [place]

    def is_value(text: str) -> bool:
        try:
            return Values(table.delimiter).parse(text) is not None
        except InvalidCell as error:
            return error.code == "not_finite"

    # A column without a name is a row number, as data frames write them.
    places = [p for p, name in enumerate(names) if p != time and name and _share(table, p, is_value) > 0.5]
    if not places:
        raise UnusableFile(f"no column holds numbers: say --value-column, one of {', '.join(names)}")
    return places


def _metrics(table: Table, places: list[int], metric: str | None) -> tuple[tuple[int, str], ...]:
    if metric is not None:
        return ((places[0], metric),)
    if table.names is None:
        if len(places) > 1:
            raise UnusableFile("the file has no header and several columns of numbers: say --value-column and --metric")
        return ((places[0], _VALUE_NAME),)
    metrics = tuple((place, table.names[place]) for place in places)
    twice = [name for name, count in Counter(name for _, name in metrics).items() if count > 1]
    if twice:
        raise UnusableFile(f"several columns are called {twice[0]!r}: say --value-column by its number, and --metric")
    return metrics


def _share(table: Table, place: int, fits: Callable[[str], bool]) -> float:
    """The share of the sample's filled cells of a column that fit; 0 where none is filled."""
    cells = [row[place] for row in table.sample if place < len(row) and row[place].strip()]
    return sum(map(fits, cells)) / len(cells) if cells else 0.0


def _reads_as_time(zone: tzinfo, text: str) -> bool:
    try:
        Times(zone).parse(text)
    except InvalidCell:
        return False
    return True

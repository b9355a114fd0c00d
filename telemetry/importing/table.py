"""A text file read as a table: its delimiter, its header, its rows with their line numbers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from telemetry.importing.text_file import TextFile, UnusableFile

__all__ = ["Table"]

#: Where two fit equally well, the earlier: a comma may be the decimal sign of a file with semicolons.
_DELIMITERS = (";", "\t", "|", ",")
_SAMPLE_ROWS = 500


class Table:
    """`names` are the columns' (None without a header, `width` of them), `sample` the first rows below the header.

    Raises UnusableFile where it has fewer than two columns or no row.
    """

    def __init__(self, file: TextFile, is_data: Callable[[str], bool]) -> None:
        """`is_data` tells a time or a number from a name, and so a row from a header."""
        self._file = file
        self.delimiter, rows = _sniffed(file.sample)
        has_header = not any(is_data(cell) for cell in rows[0])
        self.names = [cell.strip() for cell in rows[0]] if has_header else None
        self.width = len(rows[0])
        self.sample = rows[1:] if has_header else rows
        if not self.sample:
            raise UnusableFile("the file has a header and nothing below it")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of every row that is not blank; the line is the one the row begins on, from 1."""
        reader = csv.reader(self._file.lines(), delimiter=self.delimiter)
        header = self.names is not None
        line = 1
        try:
            for row in reader:
                if _has_content(row):
                    if not header:
                        yield line, row
                    header = False
                line = reader.line_num + 1
        except csv.Error as error:
            raise UnusableFile(f"line {line}: {error}; is a quotation mark left open there?") from error


def _sniffed(sample: str) -> tuple[str, list[list[str]]]:
    """The delimiter by which most rows have the same number of cells, two at least, and the sample's rows."""
    best: tuple[float, str, list[list[str]]] = (0.0, "", [])
    for delimiter in _DELIMITERS:
        rows = _parsed(sample.splitlines(keepends=True), delimiter)
        width, count = Counter(map(len, rows)).most_common(1)[0]
        if width >= 2 and count / len(rows) > best[0]:
            best = count / len(rows), delimiter, rows
    share, delimiter, rows = best
    if not share:
        raise UnusableFile("no columns found: a row needs a time and a value, parted by a comma, semicolon, tab or |")
    return delimiter, rows


def _parsed(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if _has_content(row):
                rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error as error:
        raise UnusableFile(f"this is no CSV file: {error}") from error
    return rows


def _has_content(row: list[str]) -> bool:
    return any(cell and not cell.isspace() for cell in row)

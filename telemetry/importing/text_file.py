"""A text file, opened for streaming: its encoding found, and one clear line said where it is not a text file."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

__all__ = ["TextFile", "UnusableFile"]

_SAMPLE_BYTES = 65_536
_LONGEST_LINE = 1 << 20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}


class UnusableFile(Exception):
    """The file cannot be imported; the message is one line that says why and what would do."""


class TextFile:
    """One open file. `sample` is its beginning in whole lines; `lines()` reads all of it with bounded memory.

    Raises UnusableFile where it is missing, empty, compressed or binary.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.size = path.stat().st_size
            self._bytes = path.open("rb")
        except IsADirectoryError:
            raise UnusableFile(f"{path} is a folder; name a CSV file") from None
        except OSError as error:
            raise UnusableFile(f"{path}: {error.strerror}") from error
        try:
            head = self._bytes.read(_SAMPLE_BYTES)
            self.encoding = _encoding(path, head)
            self._bytes.seek(0)
            # A stray byte far down the file spoils its own cell, not the import.
            self._text = io.TextIOWrapper(self._bytes, self.encoding, errors="replace", newline="")
            self.sample = self._sample()
            if not self.sample.strip():
                raise UnusableFile(f"{path} is empty")
        except BaseException:
            self._bytes.close()
            raise

    def __enter__(self) -> TextFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    @property
    def bytes_read(self) -> int:
        return self._bytes.tell()

    def lines(self) -> Iterator[str]:
        """Lines with their ends, whichever those are (\\n, \\r\\n, \\r)."""
        number = 0
        while line := self._text.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE and not line.endswith(("\n", "\r")):
                raise UnusableFile(f"line {number} is longer than {_LONGEST_LINE:,} characters; is this a CSV file?")
            yield line

    def _sample(self) -> str:
        lines: list[str] = []
        size = 0
        for line in self.lines():
            lines.append(line)
            size += len(line)
            if size >= _SAMPLE_BYTES:
                break
        self._text.seek(0)
        return "".join(lines)


def _encoding(path: Path, head: bytes) -> str:
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            raise UnusableFile(f"{path} is compressed ({name}); unpack it first, or save the spreadsheet as CSV")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        raise UnusableFile(f"{path} is a binary file; name a CSV file")
    try:
        # A character may be cut in two at the end of the sample.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"  # what spreadsheets in western Europe still write
    return "utf-8"

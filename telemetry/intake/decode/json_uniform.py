"""Arrays of readings that all have one shape, as machines write them, decoded without an object a reading.

The shape is read off the first reading: its keys, their order, the spaces between. The places of all quotes in the body
then say where everything is, and arrays are compared: a body whose every byte is as in the shape, or inside a name, or
part of a time or a number, is decoded as a whole. Anything else, right or wrong, is left to the other decoders: they answer
the same, under load at twice the cost, most of which goes into making, finding and freeing thousands of small objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import NO_TIME, Coded, Columns, Float64, Int64
from telemetry.intake.decode.errors import TooManyValues
from telemetry.intake.decode.windows import Bytes, numbers_between, rows_at, texts_between
from telemetry.intake.times import parse_rows, parse_times

__all__ = ["decode_uniform"]

#: Smaller bodies are done with sooner one reading after the other.
_LEAST_BYTES = 6_000
#: Quotes that one reading may have.
_MOST_QUOTES = 512
#: In the compact form the first list begins sooner.
_COMPACT_WITHIN = 256

_HEAD = re.compile(rb'[ \t\r\n]*(\{ *"readings" *: *)?\[ *(?=\{)')
_TAIL = re.compile(rb"\} *\]( *\})?[ \t\r\n]*\Z")
_BETWEEN = re.compile(rb"\}( *, *\{ *)\Z")
_NUMBER = re.compile(rb"[: ]+(-?[0-9][0-9.]*)[, }]+\Z")
_LIST = re.compile(rb'": *\[')
_PUNCTUATION = re.compile(rb"[,:{} ]*\Z")


class _First(msgspec.Struct, forbid_unknown_fields=True):
    """What the first reading must be, so that its parts can be told by their names and braces alone."""

    metrics: dict[str, float]
    device: str = ""
    time: str = ""


_first = msgspec.json.Decoder(_First)


class _Irregular(Exception):
    """The body is for another decoder."""


@dataclass(slots=True)
class _Shape:
    """How every reading is written. Its marks are the places of its quotes in their order, and of its end."""

    strings: int
    #: What stands between a reading's end and the first quote of the next.
    between: bytes
    #: What all readings have in common: (mark, how far before it, bytes). Each but the first holds the mark, and they are
    #: so many that every quote is in one of them: where they fit, all marks are where the shape has them.
    pieces: list[tuple[int, int, bytes]] = field(default_factory=list)
    #: The quotes before device and time, if they are named, and before the names of metrics.
    device: int | None = None
    time: int | None = None
    metrics: list[int] = field(default_factory=list)
    #: Numbers begin so far after a mark, and end so far before the next.
    numbers: list[tuple[int, int, int]] = field(default_factory=list)
    #: For so many bodies more it is not tried whether marks follow from the ends of readings: it was, in vain.
    in_vain: int = 0

    @property
    def braces(self) -> int:
        """Closing ones, in a reading."""
        return sum(piece.count(b"}") for _, _, piece in self.pieces)


#: Shapes with one number a reading that were met of late, by what all their readings have in common.
_known: dict[tuple[object, ...], _Shape] = {}
_MOST_KNOWN = 8
_IN_VAIN = 30


def decode_uniform(body: bytes, most: int) -> Columns | None:
    """The readings of a JSON body of at most ``most`` values; None where it is for another decoder.

    Raises TooManyValues.
    """
    if len(body) < _LEAST_BYTES:
        return None
    head, tail = _HEAD.match(body), _TAIL.search(body, len(body) - 64)
    # A backslash makes another name of the one that stands there.
    if head is None or tail is None or (head[1] is None) != (tail[1] is None) or b"\\" in body:
        return None
    if _LIST.search(body, head.end(), head.end() + _COMPACT_WITHIN):  # the compact form, most likely
        return None
    try:
        return _decode(body[head.end() : tail.start() + 1], most)
    except (_Irregular, msgspec.MsgspecError, UnicodeDecodeError, IndexError):
        return None


def _decode(body: bytes, most: int) -> Columns:
    """``body``: from the first reading's brace to the last one's."""
    data = np.frombuffer(body, np.uint8)
    if data.min() < 0x20:  # no name has it, and machines do not write lines
        raise _Irregular
    is_quote = data == 0x22
    shape, marks = _by_ends(body, data, is_quote, most) or _by_quotes(body, is_quote, most)
    count, each = marks.shape[1], len(shape.metrics)
    times = _times(body, marks, shape)
    values = _values(body, marks, shape)
    devices = _devices(body, marks, shape.device)
    index = np.arange(count, dtype=np.int32)
    if each == 1:
        return Columns(devices, _names(body, marks, shape.metrics[0]), None, times, values, index)
    names = [body[marks[mark, 0] + 1 : marks[mark + 1, 0]].decode() for mark in shape.metrics]
    metrics = _coded(names, np.tile(np.arange(each), count))
    return Columns(_repeated(devices, each), metrics, None, np.repeat(times, each), values, np.repeat(index, each))


def _by_quotes(body: bytes, is_quote: NDArray[np.bool_], most: int) -> tuple[_Shape, Int64]:
    """The shape of a body, and the places of its marks: a row a mark, so that each is one stretch of memory."""
    quotes = np.flatnonzero(is_quote)
    shape = _shape_of(body, quotes[:_MOST_QUOTES].tolist())
    count, rest = divmod(len(quotes), 2 * shape.strings)
    if rest:
        raise _Irregular
    if count * len(shape.metrics) > most:
        raise TooManyValues(most)
    marks = np.empty((2 * shape.strings + 1, count), np.int64)
    marks[:-1] = quotes.reshape(count, -1).T
    marks[-1, :-1] = marks[0, 1:] - len(shape.between)
    marks[-1, -1] = len(body)
    _compare(body, marks, shape)
    if len(shape.numbers) == 1:
        _known.setdefault((shape.between, *shape.pieces), shape)
        for oldest in tuple(_known)[:-_MOST_KNOWN]:  # several threads decode
            _known.pop(oldest, None)
    return shape, marks


def _by_ends(body: bytes, data: Bytes, is_quote: NDArray[np.bool_], most: int) -> tuple[_Shape, Int64] | None:
    """The same for a shape that is known, where all names and times are as long as those of the first reading: then only
    the number at a reading's end has a length of its own, and marks follow from the ends, of which there are far fewer.

    Quotes are only counted. Where so many are at their marks, there are none elsewhere.
    """
    quotes = int(np.count_nonzero(is_quote))
    closing = None
    for shape in tuple(_known.values()):
        if shape.in_vain:
            shape.in_vain -= 1
            continue
        count, rest = divmod(quotes, 2 * shape.strings)
        if rest or not count:
            continue
        closing = np.flatnonzero(data == 0x7D) if closing is None else closing
        if len(closing) == count * shape.braces:
            ends = closing[shape.braces - 1 :: shape.braces] + 1
            first = np.flatnonzero(is_quote[: ends[0]])
            if len(first) == 2 * shape.strings and not body[1 : first[0]].strip(b" "):
                marks = np.empty((len(first) + 1, count), np.int64)
                marks[0, 0], marks[0, 1:], marks[-1] = first[0], ends[:-1] + len(shape.between), ends
                marks[1:-1] = marks[0] + (first[1:] - first[0])[:, None]
                if _fits(body, marks, shape):
                    if count > most:
                        raise TooManyValues(most)
                    return shape, marks
        shape.in_vain = _IN_VAIN
    return None


def _fits(body: bytes, marks: Int64, shape: _Shape) -> bool:
    try:
        _compare(body, marks, shape)
    except (_Irregular, IndexError):
        return False
    return True


def _shape_of(body: bytes, quotes: list[int]) -> _Shape:
    """The shape of the first reading. Raises _Irregular, and MsgspecError where it is no reading of numbers."""
    gaps: list[bytes] = []
    between = b""
    for closing, opening in zip(quotes[1::2], quotes[2::2], strict=False):
        gaps.append(body[closing + 1 : opening])
        if match := _BETWEEN.search(gaps[-1]):
            between = match[1]
            break
    if not between:
        raise _Irregular
    gaps[-1] = gaps[-1][: -len(between)]
    last = len(gaps) - 1
    end = quotes[2 * last + 1] + 1 + len(gaps[last])
    first = _first.decode(body[:end])
    shape = _Shape(last + 1, between)
    keys: list[bytes] = []
    #: Where what differs from reading to reading begins and ends.
    varies: list[tuple[int, int]] = []
    depth = 0
    for place, gap in enumerate(gaps):
        opening, closing = quotes[2 * place], quotes[2 * place + 1]
        name = body[opening + 1 : closing]
        if gap.lstrip().startswith(b":"):
            keys.append(name)
            if depth == 0 and name != b"metrics":
                setattr(shape, name.decode(), 2 * place + 2)
        else:
            varies.append((opening + 1, closing))
        if depth == 1 and (number := _NUMBER.match(gap)):
            if len(first.metrics) == 1:
                varies.append((opening + 1, closing))
            begins, ends = number.span(1)
            varies.append((closing + 1 + begins, closing + 1 + ends))
            shape.metrics.append(2 * place)
            shape.numbers.append((2 * place + 1, 1 + begins, len(gap) - ends))
        elif not _PUNCTUATION.match(gap):
            raise _Irregular
        depth += gap.count(b"{") - gap.count(b"}")
    if not shape.metrics or len(shape.metrics) != len(first.metrics) or len(set(keys)) != len(keys):
        raise _Irregular
    marks = [*quotes[: 2 * last + 2], end]
    starts, ends_ = [quotes[0], *(after for _, after in varies)], [*(before for before, _ in varies), end]
    for start, stop in zip(starts, ends_, strict=True):
        mark = next(number for number, at in enumerate(marks) if at >= start)
        shape.pieces.append((mark, marks[mark] - start, body[start:stop]))
    return shape


def _compare(body: bytes, marks: Int64, shape: _Shape) -> None:
    """Whether all readings have this shape. Raises _Irregular, or IndexError."""
    count = marks.shape[1]
    for mark, before, piece in shape.pieces:
        if rows_at(body, marks[mark] - before, len(piece)).tobytes() != piece * count:
            raise _Irregular
    mark, before, piece = shape.pieces[-1]
    if (marks[-1] - marks[mark] != len(piece) - before).any():
        raise _Irregular  # something stands between the last piece and what follows it
    between = rows_at(body, marks[0, 1:] - len(shape.between), len(shape.between))
    if between.tobytes() != shape.between * (count - 1):
        raise _Irregular


def _values(body: bytes, marks: Int64, shape: _Shape) -> Float64:
    """The numbers, reading by reading. Raises _Irregular, and MsgspecError where one is none."""
    starts = np.empty((marks.shape[1], len(shape.numbers)), np.int64)
    ends = np.empty_like(starts)
    for column, (mark, after, before) in enumerate(shape.numbers):
        starts[:, column], ends[:, column] = marks[mark] + after, marks[mark + 1] - before
    if (starts >= ends).any():
        raise _Irregular
    return numbers_between(body, starts.ravel(), ends.ravel())


def _times(body: bytes, marks: Int64, shape: _Shape) -> Int64:
    """NO_TIME where the readings have none. Raises _Irregular where one cannot be read."""
    if shape.time is None:
        return np.full(marks.shape[1], NO_TIME)
    starts, ends = marks[shape.time] + 1, marks[shape.time + 1]
    length = int(ends[0] - starts[0])
    if length and (ends - starts == length).all():
        rows = rows_at(body, starts, length)
        # A gateway that reads its devices in turn gives all of them one time.
        alike = (rows[0] == rows[-1]).all() and rows.tobytes() == rows[0].tobytes() * len(rows)
        times = parse_rows(rows[:1] if alike else rows)
        if times is not None:
            return np.repeat(times, len(rows)) if alike else times
    careful, faults = parse_times(texts_between(body, starts, ends))
    if faults:
        raise _Irregular
    return careful


def _devices(body: bytes, marks: Int64, mark: int | None) -> Sequence[str | None]:
    return Coded([], np.full(marks.shape[1], -1)) if mark is None else _names(body, marks, mark)


def _names(body: bytes, marks: Int64, mark: int) -> Sequence[str]:
    """The texts between this mark and the next."""
    starts, ends = marks[mark] + 1, marks[mark + 1]
    first = body[starts[0] : ends[0]]
    same = (ends - starts == len(first)).all()
    # Most differ in their last byte, if they do.
    if same and first and (np.frombuffer(body, np.uint8)[ends - 1] == first[-1]).all():
        same = rows_at(body, starts, len(first)).tobytes() == first * len(starts)
    else:
        same = same and not first
    return _coded([first.decode()], np.zeros(len(starts), np.int64)) if same else texts_between(body, starts, ends)


def _repeated(names: Sequence[str | None], each: int) -> Coded:
    """One name a reading as one a value."""
    if isinstance(names, Coded):
        return Coded(names.names, np.repeat(names.codes, each))
    return Coded(names, np.repeat(np.arange(len(names)), each))  # type: ignore[arg-type]


def _coded(names: Sequence[str], codes: Int64) -> Sequence[str]:
    """No code is -1: every one of them has its name."""
    return cast("Sequence[str]", Coded(names, codes))

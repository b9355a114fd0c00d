"""Texts and decimal numbers at many places of a body at once, gathered as arrays of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import Float64, Int64

__all__ = ["Bytes", "numbers_between", "rows_at", "texts_between"]

Bytes = NDArray[np.uint8]

#: Digits (with the point) of which a float64 holds every integer: 10¹⁵ < 2⁵³, and powers of ten are exact up to 10²². So a
#: number of that many is one exact integer by another, and their quotient is rounded once, as IEEE 754 wants it.
_MOST_DIGITS = 15
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)
#: What a point at a place says: that it is one, and how many decimals follow.
_PLACES = np.array([np.ones(_MOST_DIGITS), np.arange(_MOST_DIGITS - 1, -1, -1)])
_ZERO, _POINT, _MINUS = b"0.-"
_floats = msgspec.json.Decoder(list[float])


def rows_at(body: bytes, places: Int64, width: int) -> Bytes:
    """So many bytes from each place on, a row each. Raises IndexError where the body ends before.

    A window at every byte, of which some are taken, costs a tenth of an index for every byte that is wanted.
    """
    windows = np.ndarray((len(body) - width + 1,), f"V{width}", body, strides=(1,))
    return windows[places].view(np.uint8).reshape(len(places), width)


def texts_between(body: bytes, starts: Int64, ends: Int64) -> Sequence[str]:
    """What stands there as UTF-8. Raises UnicodeDecodeError."""
    if not body.isascii():
        return [body[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    width = int(ends[0] - starts[0])
    if width and (ends - starts == width).all():
        characters = rows_at(body, starts, width).tobytes()
        return _remembered(characters, width) if len(starts) <= _MOST_REMEMBERED else _cut(characters, width)
    text = body.decode("ascii")
    return [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _cut(characters: bytes, width: int) -> Sequence[str]:
    text = characters.decode("ascii")
    return tuple([text[place : place + width] for place in range(0, len(text), width)])


#: A gateway names the same devices in the same order again and again. (32 of them take some megabytes at most.)
_MOST_REMEMBERED = 2_000
_remembered = lru_cache(32)(_cut)


def numbers_between(body: bytes, starts: Int64, ends: Int64) -> Float64:
    """The JSON numbers that stand there, none of them empty or in the first bytes of the body: as one by one.

    Raises msgspec.MsgspecError where anything there is not one number.
    """
    data = np.frombuffer(body, np.uint8)
    first = data[starts]
    negative = first == _MINUS
    lengths = ends - starts
    signed = bool(negative.any())
    if signed:
        lengths = lengths - negative
        first = np.where(negative, data.take(starts + 1, mode="clip"), first)
    width = min(int(lengths.max()), _MOST_DIGITS)
    # A column a number, aligned below, so that a row is a power of ten; zeros above.
    characters = rows_at(body, ends - width, width).T.copy()
    if int(lengths.min()) < width:
        characters[np.arange(width)[:, None] < width - lengths] = _ZERO
    values = _of_one_form(characters, first, lengths)
    odd = None
    if values is None:
        values, odd = _of_any_form(characters, first, lengths)
    if signed:
        values[negative] *= -1.0
    if odd is not None and odd.any():
        rows = np.flatnonzero(odd)
        places = zip(starts[rows].tolist(), ends[rows].tolist(), strict=True)
        values[rows] = _one_by_one([body[start:end] for start, end in places])
    return values


def _of_one_form(characters: Bytes, first: Bytes, lengths: Int64) -> Float64 | None:
    """Numbers that all have as many decimals as the first one, as a sensor writes them; None where some have not."""
    width = len(characters)
    column = characters[:, 0].tobytes().rfind(b".")
    decimals = width - 1 - column if column >= 0 else 0
    before = decimals + 1 if column >= 0 else 0
    if (not decimals and column >= 0) or int(lengths.min()) <= before or int(lengths.max()) > width:
        return None
    digits = characters - np.uint8(_ZERO)
    if column >= 0:
        if not (characters[column] == _POINT).all():
            return None
        digits[column] = 0
    if int(digits.max()) > 9 or ((first == _ZERO) & (lengths > before + 1)).any():
        return None  # a sign in the midst, an exponent; 007 is no number
    weights = _POWERS[width - 1 :: -1].copy()
    weights[: max(column, 0)] /= 10.0
    values = cast("Float64", weights @ digits)
    return values / _POWERS[decimals] if decimals else values


def _of_any_form(characters: Bytes, first: Bytes, lengths: Int64) -> tuple[Float64, NDArray[np.bool_]]:
    """With which of them are odd, so that what came out is not what stands there."""
    width = len(characters)
    points = characters == _POINT
    digits = characters - np.uint8(_ZERO)
    digits[points] = 0
    count, decimals = _PLACES[:, _MOST_DIGITS - width :] @ points
    odd = (digits > 9).any(axis=0) | (lengths > _MOST_DIGITS) | (count > 1) | points[-1] | (first - np.uint8(_ZERO) > 9)
    odd |= (first == _ZERO) & (lengths - decimals - count > 1)  # 007 is no number
    values = _POWERS[width - 1 :: -1] @ digits
    if count.any():
        # The point counts as a digit that is zero: what stands before it came out ten times too large.
        scale = _POWERS.take(decimals.astype(np.intp), mode="clip")
        whole = np.floor(values / (10 * scale))
        values = np.where(count == 0, values, (values - 9 * scale * whole) / scale)
    return values, odd


def _one_by_one(texts: list[bytes]) -> list[float]:
    numbers = _floats.decode(b"[" + b",".join(texts) + b"]")
    if len(numbers) != len(texts):
        raise msgspec.ValidationError("a comma in a number")
    return numbers

"""Query parameters, checked: a wrong one is answered 400 with the parameter's name and what it should be."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NoReturn

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from telemetry.intake.times import InvalidTime, parse_time

__all__ = ["choice", "flag", "instant", "invalid", "moment", "pairs", "text", "texts", "whole_number"]

MAX_TEXT = 1000


def invalid(name: str, detail: str, code: str = "invalid") -> NoReturn:
    """Refuse the parameter (or field) `name`."""
    raise ValidationError({name: detail}, code)


def text(request: Request, name: str) -> str | None:
    """The parameter as sent; empty counts as absent."""
    value: str | None = request.query_params.get(name)
    if value:
        _check(name, value)
    return value or None


def flag(request: Request, name: str) -> bool | None:
    """true or false."""
    value = text(request, name)
    if value is None:
        return None
    if value.lower() not in ("true", "false"):
        invalid(name, "Say true or false.", "invalid_choice")
    return value.lower() == "true"


def choice(request: Request, name: str, known: Collection[str]) -> str | None:
    """One of the known values."""
    value = text(request, name)
    if value is not None and value not in known:
        invalid(name, f"Say one of {', '.join(known)}.", "invalid_choice")
    return value


def whole_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number, moved into [low, high]."""
    value = text(request, name)
    if value is None:
        return default
    try:
        number = int(value)
    except ValueError:
        invalid(name, f"Say a whole number from {low} to {high}.")
    return max(low, min(number, high))


def moment(request: Request, name: str) -> datetime | None:
    """An ISO 8601 time with an offset."""
    value = text(request, name)
    if value is None:
        return None
    try:
        parsed = parse_datetime(value)
    except ValueError:
        parsed = None
    if parsed is None:
        # In a URL an unescaped + arrives as a space.
        hint = " (in a URL, + is written %2B)" if " " in value else ""
        invalid(name, f"Say an ISO 8601 time, such as 2026-11-21T10:00:00Z{hint}.")
    if parsed.tzinfo is None:
        invalid(name, "The time needs an offset: end it with Z for UTC, or with one such as +01:00.")
    return parsed


def instant(request: Request, name: str) -> int | None:
    """A time in any form that readings may have, as µs since 1970."""
    value = text(request, name)
    if value is None:
        return None
    try:
        return parse_time(_number(value))
    except InvalidTime as error:
        invalid(name, str(error), "invalid_time")


def _number(value: str) -> str | int | float:
    """Epoch numbers as numbers; and a "+" that was not percent-encoded, which arrives as a space, as a "+" again."""
    if len(value) > 6 and value[-6] == " " and "T" in value:
        return f"{value[:-6]}+{value[-5:]}"
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def texts(request: Request, name: str, most: int, longest: int = MAX_TEXT) -> list[str]:
    """Every value of a parameter that may be given several times, each once; empty ones count as absent."""
    values = list(dict.fromkeys(filter(None, request.query_params.getlist(name))))
    for value in values:
        _check(name, value)
        if len(value) > longest:
            invalid(name, f"A name has at most {longest} characters.", "max_length")
    if len(values) > most:
        invalid(name, f"At most {most} of them in one question; these are {len(values)}.", "too_many")
    return values


def pairs(request: Request, name: str) -> dict[str, str]:
    """Every `key:value` of a parameter that may be given several times."""
    found = {}
    for value in request.query_params.getlist(name):
        _check(name, value)
        key, colon, wanted = value.partition(":")
        if not colon or not key:
            invalid(name, "Say key:value, such as site:north.")
        found[key] = wanted
    return found


def _check(name: str, value: str) -> None:
    if "\x00" in value:
        invalid(name, "A NUL character cannot be searched for.")
    if len(value) > MAX_TEXT:
        invalid(name, f"This is longer than {MAX_TEXT} characters.", "max_length")

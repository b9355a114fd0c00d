"""Which backups may go: pure, over the moments at which they were made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

__all__ = ["superfluous"]

_ALL_OF = timedelta(days=1)


def superfluous(made: Iterable[datetime], *, daily: int, weekly: int, monthly: int) -> set[datetime]:
    """Those that are neither the newest of one of the last ``daily`` days that have one, nor of one of the last ``weekly``
    weeks (from Monday), nor of one of the last ``monthly`` months. The newest of all, and those of the day before it, stay
    whatever the numbers say: one that was just made by hand never costs the one before."""
    newest_first = sorted(made, reverse=True)
    kept = {moment for moment in newest_first if moment > newest_first[0] - _ALL_OF}
    periods: list[tuple[int, Callable[[datetime], object]]] = [
        (daily, lambda moment: moment.date()),
        (weekly, lambda moment: moment.isocalendar()[:2]),
        (monthly, lambda moment: (moment.year, moment.month)),
    ]
    for number, period in periods:
        seen: dict[object, datetime] = {}
        for moment in newest_first:
            seen.setdefault(period(moment), moment)
        kept.update(list(seen.values())[:number])
    return set(newest_first) - kept

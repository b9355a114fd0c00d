"""What a check found out: whether it is well, what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level", "fail", "ok", "warn"]

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` is a word or two, `text` a sentence, `mend` says what to do where it is not well."""

    about: str
    level: Level
    text: str
    mend: str = ""


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(about, "ok", text)


def warn(about: str, text: str, mend: str) -> Finding:
    """It works, but not as well or as safely as it should."""
    return Finding(about, "warn", text, mend)


def fail(about: str, text: str, mend: str) -> Finding:
    """It does not work, or readings are at risk."""
    return Finding(about, "fail", text, mend)

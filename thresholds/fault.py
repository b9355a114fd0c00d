"""One thing that is wrong with a threshold. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Fault"]


class Fault(NamedTuple):
    """Where (such as ("levels", 0, "trigger")), a code for programs, and what to do."""

    path: tuple[str | int, ...]
    code: str
    detail: str

"""What differs between a thing before and after: pure, for pages and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Change", "changes"]


class Change(NamedTuple):
    """One field; None where it did not exist."""

    field: str
    before: Any
    after: Any


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Change]:
    """Every field that differs, in the order of the thing's own form."""
    old, new = before or {}, after or {}
    names = dict.fromkeys([*old, *new])
    found = (Change(name, old.get(name), new.get(name)) for name in names)
    return [change for change in found if change.before != change.after]

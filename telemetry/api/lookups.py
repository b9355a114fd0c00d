"""Finding the one thing that a URL names."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound

__all__ = ["find", "find_numbered", "viewer"]

_MAX_ID = 2**63 - 1


def viewer(view: Any) -> Any:
    """Who asks; None while the API is described, when nobody does."""
    return getattr(getattr(view, "request", None), "user", None)


def find(queryset: QuerySet[Any], kind: str, **by_name: str) -> Any:
    """The one row, or 404 with a sentence that names what is missing."""
    (name,) = by_name.values()
    found = None if "\x00" in name else queryset.filter(**by_name).first()
    if found is None:
        raise NotFound(f"There is no {kind} {name!r}.")
    return found


def find_numbered(queryset: QuerySet[Any], kind: str, number: int) -> Any:
    """As `find`, by id."""
    found = queryset.filter(pk=number).first() if number <= _MAX_ID else None
    if found is None:
        raise NotFound(f"There is no {kind} {number}.")
    return found

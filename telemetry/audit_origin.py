"""Where what is being done now came from, for the audit: kept beside the request, so that nobody has to hand it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Origin", "came_with", "origin", "request_from"]


@dataclass(slots=True)
class Origin:
    """``address`` of the client, "" where no request is answered; ``via``: session, token, or "" for the platform."""

    address: str = ""
    via: str = ""


_origin: ContextVar[Origin | None] = ContextVar("audit_origin", default=None)


def origin() -> Origin:
    """Of the request that is being answered; an empty one where none is."""
    return _origin.get() or Origin()


@contextmanager
def request_from(address: str) -> Iterator[None]:
    """While this request is answered."""
    token = _origin.set(Origin(address, "session"))
    try:
        yield
    finally:
        _origin.reset(token)


def came_with(via: str) -> None:
    """The request that is being answered was authenticated this way."""
    if (known := _origin.get()) is not None:
        known.via = via

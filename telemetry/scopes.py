"""What a token may be used for. Its right is its scopes and, at the same time, what its owner may do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ADMIN",
    "MANAGE_DEVICES",
    "MANAGE_THRESHOLDS",
    "READ_READINGS",
    "READ_STATS",
    "SCOPES",
    "WRITE_READINGS",
    "Needs",
    "looked_at_or",
    "needed",
    "scopes_of",
]

READ_STATS = "read:stats"
READ_READINGS = "read:readings"
WRITE_READINGS = "write:readings"
MANAGE_THRESHOLDS = "manage:thresholds"
MANAGE_DEVICES = "manage:devices"
ADMIN = "admin"

#: Every scope with what it opens, as the API description says it.
SCOPES: Mapping[str, str] = {
    READ_STATS: "Devices, their latest values, aggregates; alerts and thresholds to look at.",
    READ_READINGS: "Raw readings, CSV and the quarantine.",
    WRITE_READINGS: "Replay what waits in quarantine, or discard it.",
    MANAGE_THRESHOLDS: "Thresholds and silences; acknowledge, assign, comment and resolve alerts.",
    MANAGE_DEVICES: "Devices, their types, groups and keys.",
    ADMIN: "Users, channels, routes and the audit trail.",
}

#: What a view says it needs: a scope, several of which one is enough, or that by method.
Scopes = str | tuple[str, ...]
Needs = Scopes | Mapping[str, Scopes]


def looked_at_or(manage: str) -> Mapping[str, Scopes]:
    """What is shown with read:stats too, and changed only with the scope to manage it."""
    return {"GET": (READ_STATS, manage)} | dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), manage)


def needed(view: Any, method: str) -> tuple[str, ...]:
    """The scopes of which a token needs one for this method of a view (its ``required_scopes``).

    HEAD asks for what GET does, OPTIONS for any of them. Empty where the view does not say: then no token may.
    """
    said: Needs | None = getattr(view, "required_scopes", None)
    if said is None:
        return ()
    if isinstance(said, Mapping):
        if method == "OPTIONS":
            return tuple(dict.fromkeys(scope for each in said.values() for scope in _several(each)))
        said = said.get("GET" if method == "HEAD" else method, ())
    return _several(said)


def scopes_of(auth: Any) -> frozenset[str] | None:
    """The scopes of what a request was authenticated with; None where it knows none: a session, a device key."""
    scopes = getattr(auth, "scopes", None)
    return None if scopes is None else frozenset(scopes)


def _several(said: Scopes) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said)

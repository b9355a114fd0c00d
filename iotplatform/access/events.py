"""What the audit says about access: logins, failed ones, waits, refusals, tokens. One function an event."""

from __future__ import annotations

from typing import Any

from iotplatform.access.flood import first_in_minute
from telemetry.audit import audit
from telemetry.audit_origin import origin
from telemetry.models import AuditEntry

__all__ = ["denied", "locked_out", "logged_in", "login_failed", "token_event", "unlocked"]

_Action = AuditEntry.Action


def logged_in(user: Any) -> None:
    """A password was right, or a provider's token led to this person for the first time in a while."""
    audit("login", user.pk, user.get_username(), _Action.LOGIN, user, None, None)


def login_failed(name: str, address: str) -> None:
    """Once a minute for a name and address: guessing comes in thousands."""
    if first_in_minute("login", name, address):
        audit("login", 0, name, _Action.LOGIN_FAILED, None, None, None, who=name)


def locked_out(kind: str, value: str, failures: int, seconds: int) -> None:
    """From now on a name, or an address, has to wait."""
    if first_in_minute("locked", kind, value):
        after = {"counted_by": kind, "failures": failures, "wait_seconds": seconds}
        audit("login", 0, value, _Action.LOCKED_OUT, None, None, after)


def unlocked(name: str, user: Any) -> None:
    """An administrator let a name try again."""
    audit("login", 0, name, _Action.UNLOCKED, user, None, None)


def denied(method: str, route: str, path: str, user: Any, key: str = "") -> None:
    """Somebody asked for what he may not have. Once a minute for each person (or key, or address) and route."""
    known = user is not None and user.is_authenticated
    actor = f"user-{user.pk}" if known else key or origin().address
    if first_in_minute("denied", actor, method, route):
        who = None if known else f"key {key}" if key else "nobody"
        after = {"method": method, "path": path}
        audit("request", 0, f"{method} {route}", _Action.DENIED, user, None, after, who=who)


def token_event(action: str, user: Any, family: Any, **more: Any) -> None:
    """issued, refreshed, revoked or reused; refreshing once a minute at most."""
    if action != _Action.REFRESHED or first_in_minute("refreshed", family.pk):
        after = {"token": family.pk.hex[:12], "owner": family.user.get_username(), "scopes": family.scopes, **more}
        audit("token", family.user_id, family.user.get_username(), action, user, None, after)

"""Who changed what: the one function that writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telemetry.audit_origin import origin
from telemetry.models import AuditEntry

__all__ = ["SYSTEM", "audit", "entry"]

#: Who did it where nobody was logged in: commands and the platform itself.
SYSTEM = "system"


def audit(
    kind: str,
    object_id: int,
    name: str,
    action: str,
    user: Any,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    who: str | None = None,
) -> AuditEntry | None:
    """Write down one change, in the transaction of the change, with where the request came from.

    ``kind`` is a word such as "threshold"; ``action`` one of AuditEntry.Action; ``user`` who did it, or None for the
    platform itself; ``who`` names somebody who is no user. ``before`` and ``after`` are the thing in its REST form, without
    secrets; None where it did not exist. Saving a thing as it was is no change: nothing is written, and None answered.
    Raises ValueError on an unknown action.
    """
    made = entry(kind, object_id, name, action, user, before, after, who=who)
    if made is not None:
        made.save(force_insert=True)
    return made


def entry(
    kind: str,
    object_id: int,
    name: str,
    action: str,
    user: Any,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    who: str | None = None,
) -> AuditEntry | None:
    """As `audit`, to be written together with others."""
    chosen = AuditEntry.Action(action)
    if chosen == AuditEntry.Action.CHANGED and before == after:
        return None
    known = user if getattr(user, "is_authenticated", False) else None
    came = origin()
    return AuditEntry(
        kind=kind,
        object_id=object_id,
        object_name=name.replace("\x00", "")[: AuditEntry._meta.get_field("object_name").max_length],
        action=chosen,
        who=known,
        who_name=known.get_username() if known else (who or SYSTEM).replace("\x00", "")[:150],
        via=came.via if known else "",
        address=came.address,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
    )

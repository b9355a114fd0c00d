"""Send a quarantined reading again, as it was or corrected, on the same way as every other."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser

from telemetry.intake.accept import Sender, accept
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.decode.json import decode_json
from telemetry.models import QuarantinedReading
from telemetry.sight import sees_everything, visible_devices
from telemetry.timeseries.engine import as_microseconds

__all__ = ["replay"]

logger = logging.getLogger(__name__)


def replay(quarantined: QuarantinedReading, payload: dict[str, Any] | None, user: AbstractBaseUser) -> dict[str, Any]:
    """Take a quarantined reading again, or ``payload`` in its stead; answers as POST /readings does.

    It may be of any age and for any device that the user sees. What is refused this time is not quarantined a second time. Raises
    Unavailable where the log or the database is down.
    """
    body = quarantined.payload if payload is None else json.dumps(payload)
    try:
        columns = decode_json(body.encode(), settings.PLATFORM.max_values_per_request)
    except (Malformed, TooManyValues) as error:
        fault = {"index": None, "field": None, "code": "malformed", "detail": str(error)}
        return {"accepted": 0, "rejected": 1, "receipt": None, "errors": [fault]}
    if refused := _out_of_sight(columns.devices, user):
        return {"accepted": 0, "rejected": len(columns), "receipt": None, "errors": refused}
    sender = Sender(backfill=True, judge=False, request_id=f"replay-{quarantined.pk}", quarantine=False)
    # The time of receipt stays the original one: a reading without a time was measured then, not now.
    done = accept(columns, sender, as_microseconds(quarantined.received_at))
    logger.info("quarantine_replayed", extra={"id": quarantined.pk, "by": user.pk, "accepted": done.accepted})
    return {
        "accepted": done.accepted,
        "rejected": done.rejected,
        "receipt": done.receipt.token() if done.receipt else None,
        "errors": [refused.as_problem() for refused in done.errors],
    }


def _out_of_sight(names: Iterable[str | None], user: Any) -> list[dict[str, Any]]:
    """A corrected reading must not be for a device of somebody else: it is answered as one that is unknown."""
    if sees_everything(user):
        return []
    named = {name for name in names if name is not None}
    known = set(visible_devices(user).filter(name__in=named).values_list("name", flat=True))
    return [
        {"index": None, "field": "device", "code": "unknown_device", "detail": f"There is no device {name!r}."}
        for name in sorted(named - known)
    ]

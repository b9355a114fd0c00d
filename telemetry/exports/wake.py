"""Ask for the task that makes exports. The message says nothing but that; losing it delays until beat's next."""

from __future__ import annotations

import logging

from celery import current_app

__all__ = ["EXPORT_TASK", "wake"]

logger = logging.getLogger(__name__)
EXPORT_TASK = "telemetry.exports"


def wake() -> None:
    """Now rather than at beat's next. Where the broker does not answer, beat will do it."""
    try:
        current_app.send_task(EXPORT_TASK, retry=False, ignore_result=True, expires=60)
    except Exception as error:
        logger.warning("exports_not_requested", extra={"error": str(error)})

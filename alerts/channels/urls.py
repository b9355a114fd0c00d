"""URLs as settings of a channel: checked when they are entered, shown without what may be a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.channels.failures import EgressRefused
from alerts.channels.kind import FieldProblems
from alerts.egress import check_url

__all__ = ["require_url", "shown"]


def require_url(settings: Mapping[str, Any], https: bool = False) -> str:
    """The setting ``url``. Raises FieldProblems where nothing may be sent to it."""
    url = settings.get("url") or ""
    try:
        parts = check_url(url)
    except EgressRefused as error:
        raise FieldProblems({"url": str(error)}) from error
    if https and parts.scheme != "https":
        raise FieldProblems({"url": "Give the https:// address that the service showed."})
    return str(url)


def shown(settings: Mapping[str, Any]) -> str:
    """Scheme and host; path and query often hold a token."""
    try:
        parts = check_url(settings.get("url") or "")
    except EgressRefused:
        return ""
    return f"{parts.scheme}://{parts.netloc}/…"

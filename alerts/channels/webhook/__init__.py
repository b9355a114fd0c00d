"""Webhook: JSON by POST, signed and timestamped; docs/alerting-webhook.md is its contract."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from alerts.channels.answers import accepted
from alerts.channels.kind import ChannelKind, Field, FieldProblems, Outgoing
from alerts.channels.urls import require_url, shown
from alerts.egress import post

__all__ = ["Webhook", "signature"]

_MIN_SECRET = 16


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``sha256=`` and the hex HMAC-SHA256 (RFC 2104) of ``timestamp.body``."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


class Webhook(ChannelKind):
    name = "webhook"
    label = "Webhook"
    fields = (
        Field("url", "URL", "Where to POST to. Path and query are not shown again.", secret=True, required=True),
        Field(
            "secret",
            "Signing secret",
            f"At least {_MIN_SECRET} characters, known to the receiver too: it checks X-Signature with it.",
            secret=True,
            required=True,
        ),
    )

    def check(self, settings: Mapping[str, Any]) -> None:
        require_url(settings)
        if len(settings.get("secret") or "") < _MIN_SECRET:
            raise FieldProblems(
                {"secret": f"Give at least {_MIN_SECRET} characters, such as from `openssl rand -hex 32`."}
            )

    def address(self, settings: Mapping[str, Any]) -> str:
        return shown(settings)

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        # Sorted: the first attempt's content comes from memory and the others' from the database, which orders keys anew.
        body = json.dumps({"id": message.key, **message.content}, ensure_ascii=False, sort_keys=True).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": message.key,
            "X-Timestamp": timestamp,
            "X-Signature": signature(settings["secret"], timestamp, body),
            "X-Attempt": str(message.attempt),
        }
        if message.traceparent:
            headers["traceparent"] = message.traceparent
        return accepted(post(settings["url"], body, headers, message.timeout))

"""Slack: an incoming webhook (https://api.slack.com/messaging/webhooks). Services that speak its format work too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alerts.channels.answers import accepted
from alerts.channels.kind import ChannelKind, Field, Outgoing
from alerts.channels.shorten import shorten
from alerts.channels.urls import require_url, shown
from alerts.egress import post

__all__ = ["Slack"]

#: Slack cuts a message's text at 40,000 characters; people stop reading long before.
_MAX_TEXT = 20_000


class Slack(ChannelKind):
    name = "slack"
    label = "Slack"
    fields = (
        Field("url", "Webhook URL", "Of an incoming webhook; it is not shown again.", secret=True, required=True),
    )

    def check(self, settings: Mapping[str, Any]) -> None:
        require_url(settings)

    def address(self, settings: Mapping[str, Any]) -> str:
        return shown(settings)

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        text = shorten(message.content["text"], _MAX_TEXT)
        body = json.dumps({"text": _escaped(text)}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
        return accepted(post(settings["url"], body, headers, message.timeout))


def _escaped(text: str) -> str:
    """The three characters that mean something to Slack: a device's name mentions nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

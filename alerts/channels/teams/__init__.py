"""Microsoft Teams: a workflow that posts to a channel when a webhook request is received; takes Adaptive Cards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alerts.channels.answers import accepted
from alerts.channels.kind import ChannelKind, Field, Outgoing
from alerts.channels.shorten import shorten
from alerts.channels.urls import require_url, shown
from alerts.egress import post

__all__ = ["Teams"]

#: Teams takes requests of up to 28 KB.
_MAX_BYTES = 24_000


class Teams(ChannelKind):
    name = "teams"
    label = "Microsoft Teams"
    fields = (
        Field(
            "url",
            "Workflow URL",
            "Of a workflow “When a Teams webhook request is received”; it is not shown again.",
            secret=True,
            required=True,
        ),
    )

    def check(self, settings: Mapping[str, Any]) -> None:
        require_url(settings)

    def address(self, settings: Mapping[str, Any]) -> str:
        return shown(settings)

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
        return accepted(post(settings["url"], _body(message.content), headers, message.timeout))


def _body(content: Mapping[str, Any]) -> bytes:
    _, _, details = content["text"].partition("\n")
    room = _MAX_BYTES
    while True:
        body = json.dumps(_card(content["subject"], shorten(details.strip("\n"), room)), ensure_ascii=False).encode()
        if len(body) <= _MAX_BYTES + 2_000 or room < 1_000:
            return body
        room //= 2


def _card(subject: str, details: str) -> dict[str, Any]:
    title = {"type": "TextBlock", "text": _plain(subject[:500]), "weight": "Bolder", "size": "Medium", "wrap": True}
    lines = [{"type": "TextBlock", "text": _plain(details).replace("\n", "\n\n"), "wrap": True}] if details else []
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *lines],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _plain(text: str) -> str:
    """Text blocks read Markdown: a device's name makes no link of itself."""
    for character in "\\[]*_`":
        text = text.replace(character, f"\\{character}")
    return text

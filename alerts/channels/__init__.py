"""Ways to reach people: one directory a kind, added by copying a sibling and naming it here."""

from __future__ import annotations

from alerts.channels.email import Email
from alerts.channels.kind import ChannelKind, Field, FieldProblems, Outgoing
from alerts.channels.push import Push
from alerts.channels.slack import Slack
from alerts.channels.teams import Teams
from alerts.channels.webhook import Webhook

__all__ = ["KINDS", "ChannelKind", "Field", "FieldProblems", "Outgoing"]

KINDS: dict[str, ChannelKind] = {kind.name: kind for kind in (Email(), Webhook(), Slack(), Teams(), Push())}

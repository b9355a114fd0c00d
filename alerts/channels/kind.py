"""What a kind of channel is: its fields, how they are checked, and how a message is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = ["ChannelKind", "Field", "FieldProblems", "Outgoing"]


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of a channel. A secret one is stored encrypted, and is never shown again."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = False
    #: ``emails``: a list of addresses; ``flag``: true or false.
    type: Literal["text", "emails", "flag"] = "text"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frozen message on its way. ``key`` is the same for every attempt, so that the receiver can tell a repeat."""

    key: str
    content: Mapping[str, Any]
    attempt: int = 1
    timeout: float = 10.0
    #: W3C trace context for receivers that go on with it; empty where it is not traced.
    traceparent: str = ""


@dataclass
class FieldProblems(Exception):
    """Settings are wrong: field → what to do."""

    problems: dict[str, str] = field(default_factory=dict)


class ChannelKind(Protocol):
    """One directory under alerts/channels/, found by its name in alerts.channels.KINDS. Kinds inherit from it."""

    name: str
    label: str
    fields: tuple[Field, ...]

    def prepare(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What may be shown of the settings, completed from the database: sending itself has none at hand."""
        return settings

    def check(self, settings: Mapping[str, Any]) -> None:
        """Look at all settings, secret ones included. Raises FieldProblems."""

    def address(self, settings: Mapping[str, Any]) -> str:
        """Where it leads, without anything secret: for lists and logs."""

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        """Send it within its timeout; answers what the receiver said, in a few words. Raises DeliveryFailure."""

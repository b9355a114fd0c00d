"""Why a message was not delivered.

DeliveryFailure
├── TemporaryFailure   try again later
└── PermanentFailure   trying again would not help
    └── EgressRefused  the platform itself may not go there
"""

from __future__ import annotations

__all__ = ["DeliveryFailure", "EgressRefused", "PermanentFailure", "TemporaryFailure"]


class DeliveryFailure(Exception):
    """The text is for operators: it says what to do and never holds a secret."""


class TemporaryFailure(DeliveryFailure):
    """``retry_after``: seconds that the receiver asked to wait."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class PermanentFailure(DeliveryFailure):
    pass


class EgressRefused(PermanentFailure):
    pass

"""Channels, routes and silences in their REST form, for the audit: without what is secret, and without what the
platform itself notes about them."""

from __future__ import annotations

from typing import Any

from alerts.models import Channel, Route, Silence

__all__ = ["document"]

_NOT_MANAGED = ("id", "created_at", "failing_since", "last_error", "active", "summarised_until")


def document(thing: Channel | Route | Silence) -> dict[str, Any]:
    """What people manage of it."""
    from alerts.api.channel_serializers import ChannelSerializer
    from alerts.api.route_serializers import RouteSerializer
    from alerts.api.silence_serializers import SilenceSerializer

    serializers: dict[type, Any] = {Channel: ChannelSerializer, Route: RouteSerializer, Silence: SilenceSerializer}
    shown = serializers[type(thing)](thing).data
    return {name: value for name, value in shown.items() if name not in _NOT_MANAGED}

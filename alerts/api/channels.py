"""Channels: ways to reach people."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.audited import AuditedDetail, AuditedList
from alerts.api.channel_serializers import ChannelSerializer, TestedSerializer
from alerts.deliver import send_test
from alerts.models import Channel
from telemetry.api.lookups import find_numbered
from telemetry.api.permissions import ChangePermission
from telemetry.scopes import ADMIN

__all__ = ["ChannelDetail", "ChannelList", "ChannelTest"]


class ChannelList(AuditedList):
    """Channels, oldest first."""

    kind = "channel"
    queryset = Channel.objects.all()
    required_scopes = ADMIN
    serializer_class = ChannelSerializer


class ChannelDetail(AuditedDetail):
    """One channel, by its id. Deleting it deletes its messages too; alerts and their timelines stay."""

    kind = "channel"
    queryset = Channel.objects.all()
    required_scopes = ADMIN
    serializer_class = ChannelSerializer


class ChannelTest(GenericAPIView):
    queryset = Channel.objects.all()
    required_scopes = ADMIN
    serializer_class = TestedSerializer
    permission_classes = [ChangePermission]

    @extend_schema(request=None, responses=TestedSerializer)
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Send a test message at once, and say what happened; a receiver that fails is answered 200 with ok false."""
        channel: Channel = find_numbered(self.get_queryset(), "channel", self.kwargs["id"])
        outcome = send_test(channel, request.user.get_username())
        answer = {
            "ok": outcome.ok,
            "detail": outcome.detail,
            "temporary": not outcome.ok and not outcome.permanent,
            "seconds": round(outcome.seconds, 3),
        }
        return Response(answer)

"""The routes of alerts and of who hears of them, below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import alert_actions, alert_bulk, alerts, channels, routes, silences

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("alerts", alerts.AlertList.as_view(), name="alerts"),
    path("alerts/bulk", alert_bulk.BulkView.as_view(), name="alerts-bulk"),
    path("alerts/<int:id>", alerts.AlertDetail.as_view(), name="alert"),
    path("alerts/<int:id>/acknowledge", alert_actions.AcknowledgeView.as_view(), name="alert-acknowledge"),
    path("alerts/<int:id>/unacknowledge", alert_actions.UnacknowledgeView.as_view(), name="alert-unacknowledge"),
    path("alerts/<int:id>/assign", alert_actions.AssignView.as_view(), name="alert-assign"),
    path("alerts/<int:id>/comment", alert_actions.CommentView.as_view(), name="alert-comment"),
    path("alerts/<int:id>/resolve", alert_actions.ResolveView.as_view(), name="alert-resolve"),
    path("channels", channels.ChannelList.as_view(), name="channels"),
    path("channels/<int:id>", channels.ChannelDetail.as_view(), name="channel"),
    path("channels/<int:id>/test", channels.ChannelTest.as_view(), name="channel-test"),
    path("routes", routes.RouteList.as_view(), name="routes"),
    path("routes/<int:id>", routes.RouteDetail.as_view(), name="route"),
    path("silences", silences.SilenceList.as_view(), name="silences"),
    path("silences/<int:id>", silences.SilenceDetail.as_view(), name="silence"),
]

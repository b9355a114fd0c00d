"""The admin of alerts: one file per family of models."""

from alerts.admin import alert, channel, message, route, silence

__all__ = ["alert", "channel", "message", "route", "silence"]

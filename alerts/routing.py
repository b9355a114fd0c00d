"""Who hears of an alert: routes, asked in their order. Pure but for loading them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from alerts.models import Route
from alerts.subject import Matcher, Subject

__all__ = ["ChannelRule", "RouteRule", "StepRule", "Way", "load_routes", "matching", "ways"]


@dataclass(frozen=True, slots=True)
class ChannelRule:
    channel_id: int
    name: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class StepRule:
    """An escalation step: whom to tell when nobody acknowledged for so long. Numbered from 1."""

    number: int
    after_seconds: float
    channels: tuple[ChannelRule, ...]


@dataclass(frozen=True, slots=True)
class RouteRule:
    route_id: int
    name: str
    matcher: Matcher
    min_severity: int
    continues: bool
    #: Openings within so many seconds are one message.
    group_seconds: float
    #: Seconds between repeats; None: never.
    repeat_seconds: float | None
    channels: tuple[ChannelRule, ...]
    steps: tuple[StepRule, ...] = ()

    def matches(self, subject: Subject) -> bool:
        return subject.severity >= self.min_severity and self.matcher.matches(subject)


@dataclass(frozen=True, slots=True)
class Way:
    """From an alert to one channel, through the first of its routes that names it."""

    route: RouteRule
    channel: ChannelRule


def matching(routes: Iterable[RouteRule], subject: Subject) -> list[RouteRule]:
    """The routes that the alert takes: the first that matches, and those behind it for as long as one continues."""
    taken = []
    for route in routes:
        if route.matches(subject):
            taken.append(route)
            if not route.continues:
                break
    return taken


def ways(routes: Iterable[RouteRule]) -> list[Way]:
    """Every channel of these routes that is switched on, once."""
    found: dict[int, Way] = {}
    for route in routes:
        for channel in route.channels:
            if channel.enabled:
                found.setdefault(channel.channel_id, Way(route, channel))
    return list(found.values())


def load_routes() -> list[RouteRule]:
    """Those that are enabled, in their order."""
    queryset = (
        Route.objects.filter(enabled=True)
        .select_related("group")
        .prefetch_related("channels", "escalation__channels")
        .order_by("position", "id")
    )
    return [_rule(route) for route in queryset]


def _rule(route: Route) -> RouteRule:
    group_seconds = settings.PLATFORM.alert_group_seconds if route.group_seconds is None else route.group_seconds
    return RouteRule(
        route_id=route.pk,
        name=route.name,
        matcher=Matcher(
            device_type_id=route.device_type_id,
            group_path=route.group.path if route.group else None,
            threshold_id=route.threshold_id,
            labels=route.labels,
        ),
        min_severity=route.min_severity,
        continues=route.continues,
        group_seconds=group_seconds,
        repeat_seconds=None if route.repeat_minutes is None else route.repeat_minutes * 60,
        channels=_channels(route.channels.all()),
        steps=tuple(
            StepRule(number, step.after_minutes * 60, _channels(step.channels.all()))
            for number, step in enumerate(sorted(route.escalation.all(), key=lambda s: s.after_minutes), start=1)
        ),
    )


def _channels(channels: Iterable[object]) -> tuple[ChannelRule, ...]:
    return tuple(ChannelRule(channel.pk, channel.name, channel.enabled) for channel in channels)  # type: ignore[attr-defined]

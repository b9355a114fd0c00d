"""Who hears of alerts, made by hand: channels, routes, silences; and the platform's clock moved on."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from alerts.deliver import attempt, claim, complete
from alerts.dispatch import dispatch
from alerts.models import Alert, Channel, Message, Route, Silence
from alerts.secrets import encrypt
from tests.alerts.receivers import SECRET, WebServer

_numbers = itertools.count(1)


def make_webhook(server: WebServer | None = None, **fields: Any) -> Channel:
    url = server.url if server else "http://127.0.0.1:9/closed"
    secret = encrypt({"url": url, "secret": SECRET})
    return Channel.objects.create(**{"name": f"hook-{next(_numbers)}", "kind": "webhook", "secret": secret} | fields)


def make_email(*recipients: str, **fields: Any) -> Channel:
    config = {"recipients": list(recipients)} if recipients else {"administrators": True}
    return Channel.objects.create(**{"name": f"mail-{next(_numbers)}", "kind": "email", "config": config} | fields)


def make_route(*channels: Channel, **fields: Any) -> Route:
    route = Route.objects.create(**{"name": f"route-{next(_numbers)}"} | fields)
    route.channels.set(channels)
    return route


def make_silence(**fields: Any) -> Silence:
    now = timezone.now()
    default = {
        "starts_at": now - timedelta(hours=1),
        "ends_at": now + timedelta(hours=1),
        "reason": "works on the line",
    }
    return Silence.objects.create(**default | fields)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def deliver_all(now: datetime | None = None) -> int:
    """Send everything that is due, one after the other, as the senders of a worker do; answers how many attempts."""
    tried = 0
    while claimed := claim(now):
        complete(claimed, attempt(claimed), now)
        tried += 1
    return tried


def later(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


def tell_all(seconds: float = 31) -> int:
    """Route what is new, and send what collected once its group's time is over."""
    dispatch()
    return deliver_all(later(seconds))


def texts(alert: Alert, kind: str) -> list[str]:
    """What the rows of this kind in the alert's timeline say."""
    return list(alert.timeline.filter(kind=kind).values_list("text", flat=True))


def kinds_sent() -> list[str]:
    return list(Message.objects.filter(state=Message.State.SENT).order_by("id").values_list("kind", flat=True))

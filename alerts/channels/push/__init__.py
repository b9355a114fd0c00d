"""SMS and push, through Apprise: one library that knows many services.

Apprise opens its connections itself, past alerts.egress. So only services are allowed whose host is fixed in its code:
nothing that is typed in here chooses where a request goes. That host is looked up beforehand all the same (a name that
leads into the own network is refused), and redirects are not followed. What needs a host of one's own, ntfy or Gotify
for example, is reached through the webhook channel.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from alerts.channels.failures import PermanentFailure, TemporaryFailure
from alerts.channels.kind import ChannelKind, Field, FieldProblems, Outgoing
from alerts.channels.shorten import shorten
from alerts.egress import check_host

__all__ = ["SERVICES", "Push"]

#: Scheme of the Apprise URL → the service's name and the host that its requests go to.
SERVICES: dict[str, tuple[str, str]] = {
    "bulksms": ("BulkSMS", "api.bulksms.com"),
    "clicksend": ("ClickSend (SMS)", "rest.clicksend.com"),
    "discord": ("Discord", "discord.com"),
    "msgbird": ("MessageBird (SMS)", "rest.messagebird.com"),
    "pagerduty": ("PagerDuty", "events.pagerduty.com"),
    "pbul": ("Pushbullet", "api.pushbullet.com"),
    "plivo": ("Plivo (SMS)", "api.plivo.com"),
    "pover": ("Pushover", "api.pushover.net"),
    "seven": ("seven (SMS)", "gateway.seven.io"),
    "signl4": ("SIGNL4", "connect.signl4.com"),
    "tgram": ("Telegram", "api.telegram.org"),
    "threema": ("Threema", "msgapi.threema.ch"),
    "twilio": ("Twilio (SMS)", "api.twilio.com"),
    "vonage": ("Vonage (SMS)", "rest.nexmo.com"),
}
#: What Apprise calls it, by which some services colour a message or close an incident.
_TYPES = {"recovery": "success", "test": "info"}
_NOT_NOW = (408, 425, 429)
_STATUS = re.compile(r"error=(\d{3})\b")

# Its log lines name recipients and tokens.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


class Push(ChannelKind):
    name = "push"
    label = "SMS or push"
    fields = (
        Field(
            "url",
            "Apprise URL",
            f"One of {', '.join(f'{scheme}://' for scheme in SERVICES)}, as appriseit.com/services describes it. "
            "It is not shown again.",
            secret=True,
            required=True,
        ),
    )

    def check(self, settings: Mapping[str, Any]) -> None:
        url = settings.get("url") or ""
        if _scheme(url) not in SERVICES:
            known = ", ".join(f"{scheme}://" for scheme in SERVICES)
            raise FieldProblems(
                {"url": f"Begin with one of {known}; for a server of your own take the webhook channel."}
            )
        if _service(url) is None:
            raise FieldProblems({"url": "Apprise cannot read this URL; see appriseit.com/services for its form."})

    def address(self, settings: Mapping[str, Any]) -> str:
        return SERVICES.get(_scheme(settings.get("url") or ""), ("", ""))[0]

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        scheme = _scheme(settings["url"])
        service = _service(settings["url"]) if scheme in SERVICES else None
        if service is None:
            raise PermanentFailure("The URL is none that may be sent to: enter it again.")
        name, host = SERVICES[scheme]
        check_host(host, 443, message.timeout)
        service.socket_connect_timeout = service.socket_read_timeout = message.timeout / 2
        return _notify(name, service, message)


def _notify(name: str, service: Any, message: Outgoing) -> str:
    from apprise import Apprise  # some 20 MB that drains and most web requests never need

    sender = Apprise()
    sender.add(service)
    title = message.content["subject"] if service.title_maxlen else ""
    body = shorten(message.content["text"], service.body_maxlen)
    result = sender.notify(title=title, body=body, notify_type=_TYPES.get(message.content["kind"], "warning"))
    if result:
        return f"{name} took it"
    # Its log lines may hold secrets; what is safe to tell is the status of the answer.
    logs = (str(line) for each in result for attempt in each for line in attempt.logs)
    statuses = [int(found[1]) for line in logs if (found := _STATUS.search(line))]
    if statuses and 400 <= statuses[-1] < 500 and statuses[-1] not in _NOT_NOW:
        raise PermanentFailure(f"{name} refused it: HTTP {statuses[-1]}.")
    said = f": HTTP {statuses[-1]}" if statuses else ""
    raise TemporaryFailure(f"{name} did not take it{said}.")


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _service(url: str) -> Any:
    """Apprise's object for this URL; None where it cannot read it."""
    from apprise import Apprise, AppriseAsset

    service: Any = Apprise.instantiate(url, asset=AppriseAsset(http_redirects=False), suppress_exceptions=True)
    if service is not None:
        # The URL's own parameters could say otherwise.
        service.redirects = False
        service.verify_certificate = True
        service.retry = 0
    return service

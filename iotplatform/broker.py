"""The broker as our workers read it: what is no task message is set aside, and its queue goes on.

Kombu takes a message off its queue and then lets whatever is wrong with it end the worker; started again, it meets the
next one. Here such a message is logged as it came. Nothing is lost by that: readings never ride in task messages.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES, redis

__all__ = ["Transport", "use"]

logger = logging.getLogger(__name__)

_MOST_CHARACTERS = 4096
_WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, KombuError)


class Channel(redis.Channel):
    """Reads queues."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except json.JSONDecodeError as error:  # kombu has put other characters where it was no UTF-8
            _set_aside(error.doc, "", "it is not JSON")
            return True


class Transport(redis.Transport):
    """Kombu's Redis transport."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            _require_task(message)
        except _WRONG as error:
            _set_aside(json.dumps(message), queue, repr(error))
            return
        try:
            super()._deliver(message, queue)
        except (*self.connection_errors, *self.channel_errors):
            raise
        except _WRONG as error:
            _set_aside(json.dumps(message), queue, repr(error))
            self._forget(message)

    def _forget(self, message: Any) -> None:
        """It is not under way any more; else it would take up room for others, and come again."""
        try:
            tag = message["properties"]["delivery_tag"]
        except (KeyError, TypeError):
            return
        for channel in self.channels:
            if tag in channel.qos._delivered:
                channel.basic_reject(tag, requeue=False)


def use() -> None:
    """From now on URLs of Redis, Unix sockets included, mean this transport."""
    for name in ("redis", "rediss"):
        TRANSPORT_ALIASES[name] = f"{__name__}:{Transport.__name__}"


def _require_task(message: Any) -> None:
    """Raises one of _WRONG for what is not a task message of Celery's protocol 2, in JSON."""
    headers, properties = message["headers"], message["properties"]
    if not (isinstance(headers["task"], str) and isinstance(headers["id"], str)):
        raise TypeError("the task has no name or no id")
    if not isinstance(properties["delivery_tag"], str) or not isinstance(properties["delivery_info"], dict):
        raise TypeError("it was not published")
    if (message["content-type"], message["content-encoding"]) != ("application/json", "utf-8"):
        raise ValueError("its content is not JSON")
    body = message["body"]
    if properties.get("body_encoding") == "base64":
        body = base64.b64decode(body, validate=True)
    arguments, named, options = json.loads(body)
    if not (isinstance(arguments, list) and isinstance(named, dict) and isinstance(options, dict | None)):
        raise TypeError("its arguments are not a list, an object and an object")


def _set_aside(text: str, queue: str, reason: str) -> None:
    shown = text[:_MOST_CHARACTERS]
    logger.error("task_message_set_aside", extra={"queue": queue, "reason": reason, "size": len(text), "text": shown})

"""Whether whoever was to be told of alerts was told, and with keys by which one tells a repetition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg

from tests.alerts.receivers import SECRET, Received

__all__ = ["repeated", "what_is_wrong"]

_OPENINGS = ("opening", "flapping")
_MESSAGES = """
SELECT m.key::text, m.kind, m.state FROM alerts_message m JOIN alerts_channel c ON c.id = m.channel_id
WHERE c.name = ANY(%s)
"""
_ALERTS = "SELECT id, state FROM alerts_alert WHERE threshold_id = ANY(%s)"

#: Key → the requests that came with it.
ByKey = dict[str, list[Received]]


def what_is_wrong(
    connection: psycopg.Connection[Any],
    answered: Iterable[tuple[Received, int]],
    channels: dict[str, str],
    thresholds: list[int],
) -> list[str]:
    """Once nothing waits to be sent any more. ``channels``: path → name of the channel that posts to it; the first is
    told of everything."""
    answered = list(answered)
    wrong = [f"a request of key {request.key} is not genuine" for request, _ in answered if not _genuine(request)]
    wrong += _about_keys(_by_key(answered))
    wrong += _about_messages(connection, answered, list(channels.values()))
    alerts = dict(connection.execute(_ALERTS, [thresholds]).fetchall())
    for path in channels:
        taken = [(request, status) for request, status in answered if request.path == path and status == 200]
        wrong += _about_alerts(_by_key(taken), alerts, path, everything=path == next(iter(channels)))
    return wrong


def repeated(answered: Iterable[tuple[Received, int]]) -> int:
    """How many messages were taken by their receiver and came again all the same."""
    taken = [(request, status) for request, status in answered if status == 200]
    return sum(len(requests) > 1 for requests in _by_key(taken).values())


def _genuine(request: Received) -> bool:
    return request.signed_by(SECRET) and request.body["id"] == request.key


def _by_key(answered: Iterable[tuple[Received, int]]) -> ByKey:
    found: ByKey = defaultdict(list)
    for request, _ in answered:
        found[request.key].append(request)
    return found


def _about_keys(by_key: ByKey) -> list[str]:
    return [
        f"key {key} came with {len(contents)} contents"
        for key, requests in by_key.items()
        if len(contents := {(request.path, request.raw) for request in requests}) > 1
    ]


def _about_messages(
    connection: psycopg.Connection[Any], answered: list[tuple[Received, int]], channels: list[str]
) -> list[str]:
    rows = connection.execute(_MESSAGES, [channels]).fetchall()
    taken = {request.key for request, status in answered if status == 200}
    wrong = [f"message {key} ({kind}) is {state}, not sent" for key, kind, state in rows if state != "sent"]
    wrong += [f"message {key} ({kind}) was never taken" for key, kind, _ in rows if key not in taken]
    made = {key for key, _, _ in rows}
    return wrong + [f"key {request.key} is of no message" for request, _ in answered if request.key not in made]


def _about_alerts(by_key: ByKey, alerts: dict[int, str], path: str, *, everything: bool) -> list[str]:
    """``by_key``: what one channel took."""
    opened, recovered, live = defaultdict(set), defaultdict(set), set()
    told = set()
    for key, (request, *_) in by_key.items():
        body = request.body
        for alert in body["alerts"]:
            if body["kind"] in _OPENINGS:
                told.add(alert["id"])
                if alert["state"] in ("open", "acknowledged"):
                    live.add(alert["id"])
                if alert["event"] == "opened":
                    opened[alert["id"]].add(key)
            elif body["kind"] == "recovery":
                recovered[alert["id"]].add(key)
    wrong = [f"{path}: alert {alert} was never told" for alert in sorted(set(alerts) - told) if everything]
    wrong += [
        f"{path}: the opening of {alert} was told under {keys}" for alert, keys in opened.items() if len(keys) > 1
    ]
    for alert, state in alerts.items():
        due = int(alert in live and state in ("cleared", "resolved"))
        if len(recovered[alert]) != due:
            wrong.append(f"{path}: {len(recovered[alert])} recovery notices of alert {alert} ({state}), not {due}")
    return wrong

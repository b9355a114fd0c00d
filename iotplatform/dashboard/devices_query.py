"""Which devices the list shows: what the address asks for, in an order that can be read on from any row.

`?q=&type=&group=&label=k:v&state=&sort=name|-name|last_seen|-last_seen&at=…`; `at` is where a page begins or ends.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, QueryDict

from telemetry.device_state import DeviceState, in_state, with_expected_interval
from telemetry.models import Device
from telemetry.sight import visible_devices

__all__ = ["PAGE_ROWS", "SORTS", "DevicePage", "DeviceQuery", "page_of", "read_query"]

PAGE_ROWS = 50
#: Counted no further: nobody reads on, and counting 100,000 rows with each look would cost more than showing them.
_COUNTED = 1000
SORTS = {
    "name": "Name",
    "-name": "Name, last first",
    "-last_seen": "Last seen, newest first",
    "last_seen": "Oldest first",
}
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """What is asked; whatever an address says wrongly is left out."""

    q: str = ""
    type: str = ""
    group: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    state: str = ""
    sort: str = "name"
    #: Whether it goes on behind the place (else before it), and the place: last seen (ISO) and name.
    at: tuple[bool, str, str] | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.q or self.type or self.group or self.labels or self.state)

    def address(self, **changed: Any) -> str:
        """The query string of this with some parts changed, at its first page."""
        said = {"q": self.q, "type": self.type, "group": self.group, "state": self.state, "sort": self.sort} | changed
        pairs = [(name, value) for name, value in said.items() if value and (name, value) != ("sort", "name")]
        if "label" not in changed:
            pairs += [("label", f"{key}:{value}") for key, value in self.labels.items()]
        return f"?{urlencode(pairs)}"


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Some devices, and the addresses of the pages around."""

    devices: list[Any]
    next: str | None
    previous: str | None
    #: None: more than are counted.
    total: int | None


def read_query(query: QueryDict) -> DeviceQuery:
    state, sort = query.get("state", ""), query.get("sort", "name")
    pairs = (label.partition(":") for label in query.getlist("label")[:10])
    return DeviceQuery(
        q=_text(query.get("q", "")).strip(),
        type=_text(query.get("type", "")),
        group=_text(query.get("group", "")),
        labels={_text(key): _text(value) for key, colon, value in pairs if colon and key},
        state=state if state in DeviceState.values else "",
        sort=sort if sort in SORTS else "name",
        at=_place(query.get("at", "")),
    )


def page_of(request: HttpRequest, query: DeviceQuery, now: datetime) -> DevicePage:
    """The devices that this person sees and asks for; last_seen, type, group and expected_interval are at hand."""
    found = _narrowed(visible_devices(request.user), query, now)
    total = found.order_by()[: _COUNTED + 1].count() if query.filtered else 0
    found = found.annotate(seen=Coalesce("last_seen__at", Value(_BEGINNING)))
    forward = query.at is None or query.at[0]
    if query.at is not None:
        found = found.filter(_beyond(query.sort, query.at))
    found = with_expected_interval(found).select_related("type", "group", "last_seen")
    rows = list(found.order_by(*_order(query.sort, forward))[: PAGE_ROWS + 1])
    more, rows = len(rows) > PAGE_ROWS, rows[:PAGE_ROWS]
    if not forward:
        rows.reverse()
    return DevicePage(
        devices=rows,
        next=_link(query, rows[-1], True) if rows and (more or not forward) else None,
        previous=_link(query, rows[0], False) if rows and query.at is not None and (forward or more) else None,
        total=None if total > _COUNTED else total,
    )


def _narrowed(devices: QuerySet[Device], query: DeviceQuery, now: datetime) -> QuerySet[Device]:
    if query.q:
        term = query.q
        devices = devices.filter(Q(name__icontains=term) | Q(location__icontains=term) | Q(description__icontains=term))
    if query.type:
        devices = devices.filter(type__name=query.type)
    if query.group:
        devices = devices.filter(Q(group__path=query.group) | Q(group__path__startswith=f"{query.group}/"))
    if query.labels:
        devices = devices.filter(labels__contains=query.labels)
    return in_state(devices, query.state, now) if query.state else devices


def _order(sort: str, forward: bool) -> list[Any]:
    """Names are unique: they make any order a total one."""
    downward = sort.startswith("-") is forward
    if sort.endswith("name"):
        return [F("name").desc() if downward else F("name").asc()]
    return [F("seen").desc() if downward else F("seen").asc(), F("name").asc() if forward else F("name").desc()]


def _beyond(sort: str, at: tuple[bool, str, str]) -> Q:
    forward, seen, name = at
    if sort.endswith("name"):
        return Q(name__lt=name) if sort.startswith("-") is forward else Q(name__gt=name)
    moment = datetime.fromisoformat(seen)
    later = Q(seen__lt=moment) if sort.startswith("-") is forward else Q(seen__gt=moment)
    return later | Q(seen=moment) & (Q(name__gt=name) if forward else Q(name__lt=name))


def _link(query: DeviceQuery, device: Any, forward: bool) -> str:
    place = json.dumps([forward, device.seen.isoformat(), device.name]).encode()
    return query.address(at=base64.urlsafe_b64encode(place).decode().rstrip("="))


def _place(text: str) -> tuple[bool, str, str] | None:
    try:
        forward, seen, name = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(forward, bool) or datetime.fromisoformat(seen).tzinfo is None:
            return None
        return forward, seen, _text(name)
    except (ValueError, TypeError):
        return None


def _text(value: str) -> str:
    """What can be searched for: PostgreSQL takes neither NUL nor half a surrogate pair."""
    return str(value)[:_LONGEST].replace("\x00", "").encode("utf-8", "ignore").decode()

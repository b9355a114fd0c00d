"""Devices, their types, groups and keys in the audit: what they look like there, and how a change of one is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from telemetry.audit import audit, entry
from telemetry.models import AuditEntry, Device, DeviceGroup, DeviceKey, DeviceType

__all__ = ["changed_all", "changing", "created", "deleted", "document", "kind_of"]


def document(thing: Device | DeviceType | DeviceGroup | DeviceKey) -> dict[str, Any]:
    """What people manage of it, as the REST API names it; of a key nothing that is secret."""
    return _KINDS[type(thing)][1](thing)


def created(thing: Any, user: Any) -> None:
    """It was made just now, in the transaction that is open."""
    audit(kind_of(thing), thing.pk, str(thing), "created", user, None, document(thing))


def deleted(thing: Any, user: Any) -> None:
    """It is deleted next, in the transaction that is open."""
    audit(kind_of(thing), thing.pk, str(thing), "deleted", user, document(thing), None)


@contextmanager
def changing(thing: Any, user: Any) -> Iterator[None]:
    """What happens inside is one transaction, and one entry with how the thing was stored before and after."""
    with transaction.atomic():
        before = document(_stored(thing))
        yield
        after = _stored(thing)
        audit(kind_of(thing), thing.pk, str(after), "changed", user, before, document(after))


@transaction.atomic
def changed_all(things: QuerySet[Any], user: Any, values: Mapping[str, Any]) -> int:
    """Set these columns of many devices or keys (and their fields of the same name in the audit); answers how many there were."""
    related = {Device: ("type", "group", "parent"), DeviceKey: ("device", "group")}[things.model]
    rows = list(things.select_related(*related).select_for_update(of=("self",)))
    things.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(**values)
    entries = []
    for row in rows:
        before = document(row)
        for name, value in values.items():
            setattr(row, name, value)
        entries.append(entry(kind_of(row), row.pk, str(row), "changed", user, before, document(row)))
    AuditEntry.objects.bulk_create([each for each in entries if each is not None], batch_size=1000)
    return len(rows)


def kind_of(thing: Any) -> str:
    """What the audit calls it."""
    return _KINDS[type(thing)][0]


def _stored(thing: Any) -> Any:
    return type(thing)._default_manager.get(pk=thing.pk)


def _device(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "type": device.type.name if device.type else None,
        "group": device.group.path if device.group else None,
        "parent": device.parent.name if device.parent else None,
        "labels": device.labels,
        "enabled": device.enabled,
        "description": device.description,
        "location": device.location,
        "latitude": device.latitude,
        "longitude": device.longitude,
    }


def _type(device_type: DeviceType) -> dict[str, Any]:
    metrics = device_type.metrics.order_by("name").values("name", "unit", "kind", "low", "high", "expected_interval")
    return {
        "name": device_type.name,
        "description": device_type.description,
        "strict": device_type.strict,
        "metrics": list(metrics),
    }


def _group(group: DeviceGroup) -> dict[str, Any]:
    return {"path": group.path}


def _key(key: DeviceKey) -> dict[str, Any]:
    if key.device is not None:
        scope: dict[str, Any] = {"device": key.device.name}
    else:
        scope = {"group": key.group.path} if key.group is not None else {"all": True}
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scope": scope,
        "backfill": key.backfill,
        "rate_limit": key.rate_limit,
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _moment(at: Any) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


_KINDS: dict[type, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Device: ("device", _device),
    DeviceType: ("device_type", _type),
    DeviceGroup: ("group", _group),
    DeviceKey: ("key", _key),
}

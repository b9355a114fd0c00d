"""Register a device, if it is new, and hand out a key for it."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from telemetry.audit_things import changing, created
from telemetry.groups import make_group
from telemetry.models import Device, DeviceKey, DeviceType

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Register a device, if it is new, and hand out a key for it. The key is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="name of the device")
        parser.add_argument("--type", help="name of its device type, which is made if it is new")
        parser.add_argument("--group", help="path of its group, such as plant/hall-1, which is made if it is new")
        parser.add_argument("--backfill", action="store_true", help="the key may send readings of any age")
        parser.add_argument("--all", action="store_true", help="the key may write for every device")
        parser.add_argument("--json", action="store_true", help='print {"device": …, "key": …}')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                device = _device(options["name"], options["type"], options["group"])
                token = _key(device, backfill=options["backfill"], everything=options["all"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"device": device.name, "key": token}, ensure_ascii=False))
        else:
            self.stdout.write(_readable(device, token))


def _device(name: str, type_name: str | None, group_path: str | None) -> Device:
    """The device of this name; what it has already stays, and contradicting it is an error."""
    device = Device.objects.select_related("type", "group").filter(name=name).first() or Device(name=name)
    before = (device.pk, device.type_id, device.group_id)
    if type_name:
        if device.type is not None and device.type.name != type_name:
            raise CommandError(f"{name} is of the type {device.type.name} already, not {type_name}")
        device.type = _type(type_name)
    if group_path:
        if device.group is not None and device.group.path != group_path:
            raise CommandError(f"{name} is in the group {device.group.path} already, not in {group_path}")
        device.group = make_group(group_path)
    if device.pk is None or before != (device.pk, device.type_id, device.group_id):
        device.full_clean()
        if device.pk is None:
            device.save()
            created(device, None)
        else:
            with changing(device, None):
                device.save()
    return device


def _type(name: str) -> DeviceType:
    device_type = DeviceType.objects.filter(name=name).first()
    if device_type is None:
        device_type = DeviceType(name=name)
        device_type.full_clean()
        device_type.save()
    return device_type


def _key(device: Device, *, backfill: bool, everything: bool) -> str:
    scope: dict[str, Any] = {"all_devices": True} if everything else {"device": device}
    key = DeviceKey(name="made by provision_device", backfill=backfill, **scope)
    token = key.issue()
    created(key, None)
    return token


def _readable(device: Device, token: str) -> str:
    config = settings.PLATFORM
    site = (config.public_url or f"http://{config.host}:{config.port}").rstrip("/")
    body = json.dumps({"device": device.name, "metrics": {"temperature": 21.5}}, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    return (
        f"Device  {device.name}\n"
        f"Key     {token}\n"
        "        (shown this once; only its hash is stored)\n\n"
        "Send a reading:\n\n"
        f"  curl {site}/api/v1/readings \\\n"
        f"    -H 'Authorization: Bearer {token}' \\\n"
        "    -H 'Content-Type: application/json' \\\n"
        f"    -d '{quoted}'\n"
    )

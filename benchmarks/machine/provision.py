"""Run as a process of its own, in the platform's environment: makes what must be known before a clock runs.

Prints one line of JSON: {"gateway_key": "…", "session": "…", "device_keys": […]}.
"""

from __future__ import annotations

import json
import sys

import django


def main(prefix: str, devices: int, device_keys: int) -> None:
    """`devices` open devices named after `prefix`, a key for all of them, keys of the first `device_keys` of them."""
    django.setup()
    from benchmarks.fleet import Fleet
    from telemetry.models import Device, DeviceKey

    fleet = Fleet(prefix, devices)
    Device.objects.bulk_create((Device(name=fleet.device(number)) for number in range(devices)), batch_size=5_000)
    first = Device.objects.filter(name__startswith=f"{prefix}-").order_by("name")[:device_keys]
    print(
        json.dumps(
            {
                "gateway_key": DeviceKey(name=f"{prefix} gateway", all_devices=True).issue(),
                "session": _session(),
                "device_keys": [DeviceKey(device=device).issue() for device in first],
            }
        )
    )


def _session() -> str:
    """The cookie of a logged-in operator, with which P3 reads."""
    from django.contrib.auth import get_user_model
    from django.test import Client

    user, _ = get_user_model().objects.get_or_create(
        username="bench", defaults={"is_superuser": True, "is_staff": True}
    )
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

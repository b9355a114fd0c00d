"""Run as a process of its own: makes the naive project's tables, its devices and a token, which is printed."""

from __future__ import annotations

import sys

import django
from django.core.management import call_command


def main(prefix: str, devices: int) -> None:
    django.setup()
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    from benchmarks.baselines.naive.models import Device
    from benchmarks.fleet import Fleet

    call_command("migrate", run_syncdb=True, verbosity=0)
    fleet = Fleet(prefix, devices)
    Device.objects.bulk_create(Device(name=fleet.device(number)) for number in range(devices))
    print(Token.objects.create(user=User.objects.create(username="bench")).key)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

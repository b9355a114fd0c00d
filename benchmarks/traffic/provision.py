"""Run as a process of its own, in the platform's environment: makes the fleet of a run, its keys, thresholds, operator.

`python -m benchmarks.traffic.provision PLAN SEED '{"single": 8, …}'` writes the plan as a file that only its owner reads.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path

import django

from benchmarks.traffic.plan import GATEWAY_DEVICES, METRICS, RANGE, Member, Plan

_PREFIX = "traffic"
#: Devices go above it for some seconds of every ten minutes; see plan.values.
_LIMIT, _CLEAR = 30.0, 25.0


def main(path: Path, seed: int, users: dict[str, int]) -> None:
    django.setup()
    from telemetry.models import Device, DeviceKey

    run = f"{_PREFIX}-{seed}-{secrets.token_hex(3)}"
    kind_of, group = _type_and_group(run)
    members: dict[str, list[Member]] = {}
    for kind, count in users.items():
        members[kind] = []
        for number in range(count):
            if kind == "dashboard":
                members[kind].append(Member([]))
                continue
            own = _group(f"{run}-gateway-{number}", group) if kind == "gateway" else group
            names = [f"{run}-{kind}-{number}-{each}" for each in range(GATEWAY_DEVICES if kind == "gateway" else 1)]
            devices = Device.objects.bulk_create([Device(name=name, type=kind_of, group=own) for name in names])
            scope = {"group": own} if kind == "gateway" else {"device": devices[0]}
            wide = DeviceKey(name=run, all_devices=True).issue() if kind == "bad" else ""
            members[kind].append(Member(names, DeviceKey(name=run, **scope).issue(), wide))
    _thresholds(run, group)
    names = [name for some in members.values() for member in some for name in member.devices]
    numbers = {name: number for number, name in enumerate(names)}
    Plan(seed, members, run, _operator(run), numbers).write(path)


def _type_and_group(run: str):
    from telemetry.models import DeviceType, MetricDefinition

    kind, made = DeviceType.objects.get_or_create(name=f"{_PREFIX} sensor")
    if made:
        MetricDefinition.objects.create(device_type=kind, name=METRICS[0], unit="°C", low=RANGE[0], high=RANGE[1])
    return kind, _group(run, None)


def _group(name: str, parent):
    from telemetry.models import DeviceGroup

    return DeviceGroup.objects.create(name=name, parent=parent)


def _thresholds(run: str, group) -> None:
    from thresholds.models import Level, Threshold

    for metric in METRICS[:2]:
        made = Threshold.objects.create(name=f"{run} {metric} high", group=group, metric=metric, condition="above")
        Level.objects.create(threshold=made, severity=2, trigger=_LIMIT, clear=_CLEAR)


def _operator(run: str) -> str:
    """Makes the operator; its password."""
    from django.contrib.auth.models import Group, User

    from iotplatform.access.roles import Role

    password = secrets.token_urlsafe(16)
    user = User.objects.create_user(run, password=password)
    user.groups.add(Group.objects.get(name=Role.OPERATOR))
    return password


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))

"""Making a group with all that lie above it."""

from __future__ import annotations

from telemetry.models import DeviceGroup

__all__ = ["make_group"]


def make_group(path: str) -> DeviceGroup:
    """The group of this path, made together with the groups above it where they are missing.

    Raises django.core.exceptions.ValidationError where a name in the path is not valid.
    """
    above: DeviceGroup | None = None
    for name in path.split("/"):
        found = DeviceGroup.objects.filter(parent=above, name=name).first()
        if found is None:
            found = DeviceGroup(parent=above, name=name)
            found.full_clean(exclude=["path"])
            found.save()
        above = found
    assert above is not None
    return above

"""What a device's page says of thresholds: which apply to it, and which late readings would have breached one."""

from __future__ import annotations

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from telemetry.admin.device import DeviceAdmin
from telemetry.models import Device
from thresholds import edit
from thresholds.admin.threshold import late_table, meaning_of
from thresholds.api.filters import applying_to
from thresholds.late import late_of_device
from thresholds.metric_units import MetricUnits

__all__ = ["applying", "late"]

_SHOWN = 20


def applying(device: Device) -> SafeString | None:
    """The enabled thresholds in whose scope it lies, a line each."""
    found = edit.thresholds().filter(applying_to(device), enabled=True).order_by("name", "id")
    rows = list(found[: _SHOWN + 1])
    if not rows:
        return None
    units = MetricUnits(row.metric for row in rows)
    lines = format_html_join(
        "",
        '<li class="mb-4"><a class="font-semibold underline" href="{}">{}</a><br>{}</li>',
        (
            (reverse("admin:thresholds_threshold_change", args=[row.pk]), row.name, meaning_of(row, units.of(row)))
            for row in rows[:_SHOWN]
        ),
    )
    more = f"And {found.count() - _SHOWN} more." if len(rows) > _SHOWN else ""
    return format_html("<ul>{}</ul>{}", lines, more)


def late(device: Device) -> SafeString | None:
    """Late readings of it that would have breached a threshold."""
    rows = late_of_device(device.pk)
    return late_table(rows, by_device=False) if rows else None


DeviceAdmin.sections += [("Thresholds", applying), ("Late readings that would have breached", late)]

"""How the fleet of a person is: how many devices are in which state."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from iotplatform.dashboard.kept import kept
from telemetry.device_state import DeviceState, counts_by_state
from telemetry.sight import sees_everything, visible_devices

__all__ = ["fleet_bar", "fleet_counts"]

#: 100,000 devices take some 60 ms to count: all who look at the same fleet share one answer for so long.
_KEPT_SECONDS = 2


def fleet_counts(user: Any) -> dict[str, int]:
    """By state, and "all": what this person sees."""
    whose = "all" if sees_everything(user) else user.pk
    return kept(f"fleet:{whose}", _KEPT_SECONDS, lambda: _counted(user))


def _counted(user: Any) -> dict[str, int]:
    counts = counts_by_state(visible_devices(user), timezone.now())
    return counts | {"all": sum(counts.values())}


def fleet_bar(counts: dict[str, int]) -> list[tuple[str, float, float]]:
    """State, left edge and width in percent of the parts of a bar."""
    parts, left = [], 0.0
    for state in DeviceState:
        width = 100 * counts[state] / counts["all"] if counts["all"] else 0.0
        if width:
            parts.append((str(state), round(left, 2), round(width, 2)))
        left += width
    return parts

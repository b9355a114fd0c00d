"""What pages are written with: severities, states, times, values, icons, sparklines. `{% load dashboard %}`"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.wording import amount as worded
from alerts.wording import roughly
from iotplatform.dashboard.sparkline import sparkline as drawn
from telemetry.ages import age as worded_age
from telemetry.device_state import DeviceState
from thresholds.models import Severity

register = template.Library()

_SHAPES = {"info": "○", "warning": "△", "major": "◇", "critical": "◆", "cleared": "✓", "suppressed": "⊘"}
_STATE_SHAPES = {"online": "●", "late": "◐", "silent": "○", "never_seen": "◌", "disabled": "⊘"}


@register.simple_tag
def severity(name: str | int, *, badge: bool = True, text: str = "") -> SafeString:
    """A severity (name or number; also "cleared", "suppressed"): shape, word and colour. `text` replaces the word."""
    name = Severity(name).label if isinstance(name, int) else str(name)
    return format_html(
        '<span class="sev sev-{}{}"><span class="sev-shape" aria-hidden="true">{}</span>{}</span>',
        name,
        " sev-badge" if badge else "",
        _SHAPES.get(name, "○"),
        text or name,
    )


@register.simple_tag
def alert_state(alert: Any) -> SafeString:
    """The severity of an alert while it is live, else that it is over: "◆ critical", "✓ cleared"."""
    if alert.state in alert.LIVE:
        return severity(alert.severity)
    return severity("cleared", text=alert.get_state_display())


@register.simple_tag
def state(name: str) -> SafeString:
    """The state of a device: shape, word and colour."""
    return format_html(
        '<span class="state state-{}"><span class="sev-shape" aria-hidden="true">{}</span>{}</span>',
        name,
        _STATE_SHAPES[name],
        DeviceState(name).label,
    )


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """One of those in assets/icons.txt. Decoration: what it means stands beside it, or in aria-label."""
    address = f"{static('dashboard/vendor/icons.svg')}#{name}"
    small = " icon-sm" if size == "sm" else ""
    return format_html('<svg class="icon{}" aria-hidden="true"><use href="{}"></use></svg>', small, address)


@register.filter
def age(moment: datetime | None) -> SafeString | str:
    """ "4 s ago", which ticks; the exact time on hover. Nothing for None."""
    if moment is None:
        return ""
    text = worded_age((timezone.now() - moment).total_seconds())
    return format_html('<time class="nowrap" datetime="{}" title="{}" data-age>{}</time>', *_both(moment), text)


@register.filter
def at(moment: datetime | None) -> SafeString | str:
    """The moment in the viewer's zone, which times.js knows; UTC until then. Nothing for None."""
    if moment is None:
        return ""
    iso, shown = _both(moment)
    return format_html('<time class="nowrap" datetime="{}" title="{}" data-time>{}</time>', iso, shown, shown)


def _both(moment: datetime) -> tuple[str, str]:
    utc = moment.astimezone(UTC)
    return utc.isoformat().replace("+00:00", "Z"), f"{utc:%Y-%m-%d %H:%M:%S} UTC"


@register.simple_tag
def value(number: float | bool | None, unit: str = "", *, boolean: bool = False) -> SafeString | str:
    """A measured value with its unit; "on" and "off" of booleans; a dash for None."""
    if number is None:
        return "–"
    if boolean or isinstance(number, bool):
        return format_html('<span class="value">{}</span>', "on" if number else "off")
    if unit:
        return format_html('<span class="value">{} <span class="unit">{}</span></span>', worded(number), unit)
    return format_html('<span class="value">{}</span>', worded(number))


@register.simple_tag
def sparkline(points: Sequence[tuple[float, float | None]], limits: Sequence[Any] = (), label: str = "") -> SafeString:
    """See `iotplatform.dashboard.sparkline`."""
    return drawn(points, limits, label)


@register.filter
def short(number: float | None) -> str:
    """A count or a rate in few characters: 7, 48.2, 1,204, 12.3k, 4.1M; a dash for None."""
    if number is None:
        return "–"
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if suffix == 'k' else size):,.1f}{suffix}"
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.1f}"


@register.filter
def lasting(seconds: float | None) -> str:
    """A length of time: "0.4 s", "5 min"; a dash for None."""
    return "–" if seconds is None else roughly(round(seconds, 1) if seconds < 10 else round(seconds))


@register.filter
def share(part: float, whole: float) -> float:
    """Percent, for widths."""
    return round(100 * part / whole, 2) if whole else 0.0


@register.filter
def split(text: str) -> list[str]:
    """The words of a text."""
    return text.split()

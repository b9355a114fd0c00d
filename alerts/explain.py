"""An alert in words: why it opened, how it went on, who was told, who was not and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.models import Alert
from alerts.told import held_back, told
from alerts.wording import amount, count, limit, moment, roughly, span
from telemetry.models import LogLayout
from telemetry.query.raw import Reading, raw
from thresholds.models import RulesInForce, Severity, Threshold
from thresholds.quantities import duration, with_unit

__all__ = ["Explanation", "explain"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: So many readings are named from either end of what led to the opening.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """Sentences by the question that they answer."""

    opening: list[str]
    course: list[str]
    told: list[str]
    not_told: list[str]

    @property
    def parts(self) -> list[tuple[str, list[str]]]:
        """(question, sentences) of those that have an answer."""
        parts = [
            ("Why it opened", self.opening),
            ("How it went on", self.course),
            ("Who was told", self.told),
            ("Who was not told, and why", self.not_told),
        ]
        return [(title, sentences) for title, sentences in parts if sentences]

    @property
    def text(self) -> str:
        """All of it, a paragraph a question."""
        return "\n\n".join(f"{title}: {' '.join(sentences)}" for title, sentences in self.parts)


def explain(alert: Alert) -> Explanation:
    """Asks for the readings behind the opening, the rules in force then, and the messages that named it."""
    if alert.threshold_id == 0:
        opening = [str(alert.evidence.get("text", "The platform found something wrong with itself."))]
    else:
        opening = [*_opening(alert), *_readings(alert), *_clock(alert), *_rules(alert)]
    return Explanation(opening, _course(alert), told(alert), held_back(alert))


# --- why it opened --------------------------------------------------------------------------------------------------


def _opening(alert: Alert) -> list[str]:
    """The level and how long it held."""
    evidence, unit = alert.evidence, alert.unit
    severity, trigger = _first_level(alert)
    opened = f"It opened as {severity} at {moment(alert.opened_at)} (event time)"
    if alert.condition == "silent":
        silence = roughly(float(evidence.get("compared", alert.value or 0)))
        asked = f"; the threshold allows {duration(float(trigger))}" if isinstance(trigger, int | float) else ""
        return [f"{opened}: {alert.device_name} had sent no {alert.metric} for {silence}{asked}."]
    stands = limit(alert.condition, trigger, unit, boolean=_boolean(alert))
    said = f"{opened}: {alert.metric} of {alert.device_name} was {_value(alert, _opening_value(alert))}"
    if alert.condition == "rate_above" and "compared" in evidence:
        said += (
            f" and had changed by {with_unit(round(evidence['compared'], 6), unit)} per second since the reading before"
        )
    sentences = [f"{said}; the level {severity} means {stands}."]
    if held := evidence.get("held_seconds"):
        since = moment(_time(evidence["since"]))
        readings = count(int(evidence.get("breaching", 1)), "reading")
        sentences.append(f"It had been so since {since}, for {roughly(held)}, in {readings} in a row.")
    if asked := _asked(evidence):
        sentences.append(f"The threshold asks for {asked}.")
    return sentences


def _asked(evidence: dict[str, Any]) -> str:
    parts = []
    if seconds := evidence.get("for_seconds"):
        parts.append(f"{duration(seconds)} without a break")
    if (readings := evidence.get("consecutive", 1)) > 1:
        parts.append(f"{readings:,} readings in a row")
    return " and ".join(parts)


def _readings(alert: Alert) -> list[str]:
    """The stored readings that led to it; none where they are gone."""
    since = alert.evidence.get("since")
    if since is None or alert.condition == "silent":
        return []
    named, left_out = _first_and_last(alert.series_id, _time(since), alert.opened_at)
    if len(named) < 2 and not left_out:
        return []
    words = [f"{reading.time.astimezone(UTC):%H:%M:%S} {_value(alert, reading.value)}" for reading in named]
    if left_out:
        words.insert(_NAMED, "…")
    return [f"The readings: {', '.join(words)}."]


def _first_and_last(series_id: int, start: datetime, end: datetime) -> tuple[list[Reading], bool]:
    """The first and the last few readings of [start, end], and whether there are others between."""
    after_end = end + timedelta(microseconds=1)
    first = raw([series_id], start, after_end, limit=2 * _NAMED + 1)
    if len(first) <= 2 * _NAMED:
        return first, False
    last = raw([series_id], start, after_end, order="desc", limit=_NAMED)
    return [*first[:_NAMED], *reversed(last)], True


def _clock(alert: Alert) -> list[str]:
    """The gap policy, where a gap could have made a difference."""
    evidence = alert.evidence
    if not evidence.get("for_seconds") and evidence.get("consecutive", 1) <= 1:
        return []
    if alert.condition == "silent" or "gap_policy" not in evidence:
        return []
    if evidence["gap_policy"] == "hold":
        return ["Its gap policy is hold: the clock runs on across gaps in the data."]
    gap = evidence.get("max_gap_seconds")
    if gap is None:
        return [
            "Its gap policy is reset, but no interval is known for this metric and the threshold names no gap: "
            "none was too long."
        ]
    return [
        f"Its gap policy is reset: had two readings lain more than {roughly(gap)} apart, the clock had started anew."
    ]


def _rules(alert: Alert) -> list[str]:
    """Which rules it was judged by, and whether they are the same still."""
    sentences = []
    shards = LogLayout.objects.values_list("shards", flat=True).first()
    if shards:
        known = RulesInForce.objects.filter(shard=alert.device_id % shards, at__lte=alert.detected_at)
        if version := known.order_by("-at").values_list("rules", flat=True).first():
            sentences.append(f"It was judged by version {version} of the rules.")
    threshold = Threshold.objects.filter(pk=alert.threshold_id).values("updated_at", "enabled").first()
    if threshold is None:
        sentences.append("The threshold has been deleted since.")
    elif threshold["updated_at"] > alert.detected_at:
        disabled = "" if threshold["enabled"] else ", and is disabled now"
        sentences.append(f"The threshold was changed since, at {moment(threshold['updated_at'])}{disabled}.")
    if alert.detected_at - alert.opened_at > timedelta(minutes=2):
        late = span(alert.opened_at, alert.detected_at)
        sentences.append(f"Its readings arrived late: it was found {late} after they were measured.")
    return sentences


# --- how it went on -------------------------------------------------------------------------------------------------


def _course(alert: Alert) -> list[str]:
    sentences = []
    if alert.readings > 1 and alert.extreme is not None and alert.condition != "silent":
        sentences.append(f"{count(alert.readings, 'reading')} breached so far, at worst {_worst(alert)}.")
    if alert.highest_severity > _first_severity(alert):
        sentences.append(f"It rose to {Severity(alert.highest_severity).label}.")
    if alert.flapping:
        sentences.append("It is flapping: it opened too often in a short time, and stays open until it is quiet.")
    if alert.state in Alert.LIVE and alert.value is not None and alert.value_at is not None:
        now = roughly(alert.value) + " of silence" if alert.condition == "silent" else _value(alert, alert.value)
        sentences.append(f"The latest judged value is {now}, of {moment(alert.value_at)}.")
    if alert.acknowledged_at is not None:
        who = alert.acknowledged_by.get_username() if alert.acknowledged_by else "Somebody"
        sentences.append(f"{who} acknowledged it at {moment(alert.acknowledged_at)}.")
    if alert.ended_at is not None:
        sentences.append(_ending(alert))
    return sentences


def _ending(alert: Alert) -> str:
    assert alert.ended_at is not None
    at = moment(alert.ended_at)
    if alert.state == Alert.State.RESOLVED:
        return f"It was resolved by hand at {at}; it opens anew only after the value was safe once."
    if alert.end_reason:
        return f"It ended at {at} without a reading: {alert.end_reason}."
    return f"It cleared at {at}, after {span(alert.opened_at, alert.ended_at)}."


def _worst(alert: Alert) -> str:
    if alert.condition == "rate_above" and alert.extreme is not None:
        return f"{with_unit(round(alert.extreme, 6), alert.unit)} per second"
    return _value(alert, alert.extreme)


# --- what it is made of ---------------------------------------------------------------------------------------------


def _first_event(alert: Alert) -> Any:
    return next((event for event in alert.timeline.all() if event.kind == "opened"), None)


def _first_severity(alert: Alert) -> int:
    event = _first_event(alert)
    return event.severity if event is not None and event.severity else alert.severity


def _opening_value(alert: Alert) -> float | None:
    event = _first_event(alert)
    return alert.value if event is None else event.value


def _first_level(alert: Alert) -> tuple[str, float | Sequence[float] | None]:
    """The level at which it opened, by the threshold as it was then."""
    severity = Severity(_first_severity(alert)).label
    levels = alert.rule.get("levels", []) if isinstance(alert.rule, dict) else []
    return severity, next((level["trigger"] for level in levels if level["severity"] == severity), alert.trigger)


def _value(alert: Alert, value: float | None) -> str:
    return amount(value, alert.unit, boolean=_boolean(alert))


def _boolean(alert: Alert) -> bool:
    return bool(alert.evidence.get("boolean"))


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)

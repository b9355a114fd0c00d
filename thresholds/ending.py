"""What a new version of the rules does to alerts and clocks at once, without waiting for a reading. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from thresholds.compiled import SEVERITIES, Compiled, Place
from thresholds.machine import Pair, State
from thresholds.transitions import Ended, Transition

__all__ = ["Endings", "end_what_is_gone"]


@dataclass(slots=True)
class Endings:
    """What came of it."""

    ended: list[Ended] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    states: dict[Pair, State | None] = field(default_factory=dict)


def end_what_is_gone(
    states: Mapping[Pair, State],
    compiled: Compiled,
    places: Mapping[int, int],
    where: Callable[[list[int]], Mapping[int, Place]],
    now: int,
) -> Endings:
    """End the alerts of pairs that no longer apply, and take levels that are gone from those that do.

    ``compiled`` knows every series of ``states``; ``places``: threshold id → place of its rule; ``where``: series → where
    they stand now, without those that are gone; ``now``: wall clock, µs since 1970.
    """
    found = Endings()
    rules_of: dict[int, set[int]] = {}
    removed: list[Pair] = []
    for pair, state in states.items():
        threshold_id, series_id = pair
        place = places.get(threshold_id)
        if series_id not in rules_of:
            rules_of[series_id] = set(compiled.rules_of(series_id))
        if place is None or place not in rules_of[series_id]:
            removed.append(pair)
        else:
            _drop_levels(pair, state, compiled, place, now, found)
    _remove(states, removed, where, found)
    return found


def _remove(
    states: Mapping[Pair, State],
    removed: list[Pair],
    where: Callable[[list[int]], Mapping[int, Place]],
    found: Endings,
) -> None:
    standing = where(sorted({series_id for _, series_id in removed})) if removed else {}
    for threshold_id, series_id in removed:
        found.states[threshold_id, series_id] = None
        if states[threshold_id, series_id].severity:
            found.ended.append(Ended(threshold_id, series_id, _reason(standing.get(series_id))))


def _reason(place: Place | None) -> str:
    if place is None:
        return "device deleted"
    return "threshold removed" if place.enabled else "device disabled"


def _drop_levels(pair: Pair, state: State, compiled: Compiled, rule: int, now: int, found: Endings) -> None:
    bits = int(compiled.bits[rule])
    gone = [place for place in range(SEVERITIES) if not bits >> place & 1]
    if not any(state.on >> place & 1 or state.counts[place] for place in gone):
        return
    left = state.copy()
    left.on &= bits
    for place in gone:
        left.since[place], left.counts[place], left.safe_since[place] = None, 0, None
    if state.on and not left.on:
        found.ended.append(Ended(*pair, "level removed"))
        found.states[pair] = None
        return
    if left.on.bit_length() != state.on.bit_length():
        left.severity = left.on.bit_length()
        level = next(level for level in compiled.rules[rule].levels if level.severity == left.severity)
        found.transitions.append(Transition("lowered", *pair, now, None, left.severity, level.as_trigger))
    found.states[pair] = None if left.is_empty else left

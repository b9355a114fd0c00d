"""Who takes part in a run: kinds of users, how many of each, and what each of them was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["GATEWAY_DEVICES", "METRICS", "RANGE", "SHARES", "Member", "Plan", "deal", "shares_of", "values"]

#: Kinds of users and their usual share, in per cent.
SHARES: Mapping[str, int] = {
    "single": 40,
    "batch": 15,
    "gateway": 10,
    "retry": 10,
    "burst": 5,
    "bad": 10,
    "dashboard": 10,
}
#: Every reading of the fleet has a value of each.
METRICS = ("temperature", "pressure", "vibration")
#: Physically possible values of METRICS[0]; beyond it a reading is refused as out_of_range.
RANGE = (-50.0, 150.0)
GATEWAY_DEVICES = 20
_PERIOD_MS = 600_000


@dataclass(frozen=True, slots=True)
class Member:
    """One user of the run: its devices, the key it sends with, and for senders of bad readings a key for all devices."""

    devices: list[str]
    key: str = ""
    wide_key: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All members by kind; `username` and `password` are the operator's. `numbers` tells a device's values apart."""

    seed: int
    members: dict[str, list[Member]]
    username: str
    password: str
    numbers: dict[str, int] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))
        path.chmod(0o600)

    @classmethod
    def read(cls, path: Path) -> Plan:
        found = json.loads(path.read_text())
        members = {kind: [Member(**each) for each in some] for kind, some in found.pop("members").items()}
        return cls(members=members, **found)


def shares_of(text: str) -> dict[str, int]:
    """ "single=40,bad=5": shares by kind; kinds that are not named take no part. Raises ValueError."""
    found = {}
    for part in filter(None, text.split(",")):
        kind, _, share = part.partition("=")
        if kind.strip() not in SHARES:
            raise ValueError(f"there is no kind {kind.strip()!r}; there are {', '.join(SHARES)}")
        found[kind.strip()] = int(share)
    if found and not any(found.values()):
        raise ValueError("at least one kind must have a share")
    return found or dict(SHARES)


def deal(users: int, shares: Mapping[str, int]) -> dict[str, int]:
    """So many users of each kind: by share, but at least one of each that has one. Raises ValueError for too few users."""
    kinds = {kind: share for kind, share in shares.items() if share > 0}
    if users < len(kinds):
        raise ValueError(f"{len(kinds)} kinds of users need at least as many users")
    whole = sum(kinds.values())
    dealt = {kind: max(1, users * share // whole) for kind, share in kinds.items()}
    by_share = sorted(kinds, key=lambda kind: -kinds[kind])
    while sum(dealt.values()) < users:
        dealt[by_share[0]] += 1
    while sum(dealt.values()) > users:
        dealt[next(kind for kind in sorted(by_share, key=lambda kind: -dealt[kind]) if dealt[kind] > 1)] -= 1
    return dealt


def values(device: int, metric: int, times_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """What a device measures at those times: a wave of ten minutes between 10 and 31, with noise.

    Whole numbers until the last division, so that who sends and who counts get the same bits.
    """
    phase = (times_ms + device * 7_919 * 37) % _PERIOD_MS
    wave = np.abs(phase - _PERIOD_MS // 2) // 150
    noise = (times_ms * 7_001 + device * 40_503 + metric * 9_973) % 100
    return (1_000 + wave + noise) / 100.0

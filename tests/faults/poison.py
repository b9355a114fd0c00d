"""Entries in the log that are no entries, or those of a newer release, among healthy ones under load."""

from __future__ import annotations

import random
import struct

from tests.faults.load import Load, Outcome
from tests.faults.quarantined import append, poison_counted, remove_poison, wait_for_poison
from tests.live import LivePlatform

__all__ = ["poison_entries"]

_HEADER = struct.Struct("<BBHiqII32s")  # see telemetry/log/payload.py
_NEWER = b"\x07 whatever a later release writes"
_HUGE = 2**32 - 1


def poison_entries(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """Each is set aside with its bytes, those around it are stored; an entry of a newer release waits, and is not."""
    chance = random.Random(seed)
    with Load(platform, seed) as load:
        for _ in range(rounds):
            load.wait_for_accepted(chance.randint(10, 40))
            bad = _bad(chance)
            before = poison_counted(platform)
            append(platform, [(chance.randrange(platform.config.shards), data) for data in bad])
            wait_for_poison(platform, bad)
            platform.wait_until(lambda: poison_counted(platform) - before == len(bad), 10, "metrics tell of each")  # noqa: B023
            remove_poison(platform, bad)
        _newer_release(platform, load, chance)
        load.wait_for_accepted(40)
        return load.finish()


def _bad(chance: random.Random) -> list[bytes]:
    """Another one of each kind, every time."""
    noise = chance.randbytes(chance.randint(1, 5_000))
    mark = chance.randbytes(8)
    return [
        b"\x00" + noise,
        b"\xff" + noise,
        b"\x01" + mark,
        _header(count=_HUGE, refused=0) + mark,
        _header(count=0, refused=_HUGE) + mark,
        _header(count=1, refused=0) + mark,
        _header(count=0, refused=len(noise)) + noise,
    ]


def _header(count: int, refused: int) -> bytes:
    return _HEADER.pack(1, 1, 0, 0, 0, count, refused, b" " * 32)


def _newer_release(platform: LivePlatform, load: Load, chance: random.Random) -> None:
    """It holds up its own shard and no other, until somebody comes who can read it; here it is taken away."""
    shard = chance.randrange(platform.config.shards)
    drain = f"drain{shard % platform.config.drain_workers + 1}"
    told = platform.log(drain).count("entry_of_newer_release_waits")
    (entry,) = append(platform, [(shard, _NEWER)])
    platform.wait_until(
        lambda: platform.log(drain).count("entry_of_newer_release_waits") > told, 20, "the drain says that it waits"
    )
    load.wait_for_accepted(40)
    with platform.redis() as client:
        assert client.xlen(f"log:{shard}") and client.xdel(f"log:{shard}", entry) == 1, "it was not in the log any more"

"""Log entries that must be set aside: put into the log past intake, found again in quarantine with their bytes."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from tests.live import LivePlatform

__all__ = ["append", "poison_counted", "remove_poison", "wait_for_poison"]

_APPEND = """
import base64
from telemetry.intake.process import process
from telemetry.log.entries import Append
here = process()
here.require_ready()
entries = [(shard, base64.b64decode(text)) for shard, text in {entries!r}]
for entry in entries:
    print(here.append(Append([entry])).ids[0])
"""
_FOUND = "SELECT raw FROM telemetry_quarantinedreading WHERE code = 'poison'"
_REMOVE = "DELETE FROM telemetry_quarantinedreading WHERE code = 'poison' AND raw = ANY(%s)"


def append(platform: LivePlatform, entries: list[tuple[int, bytes]]) -> list[str]:
    """Append (shard, bytes) to the log as intake does; the ids of the entries."""
    coded = [(shard, base64.b64encode(data).decode()) for shard, data in entries]
    printed = platform.manage("shell", "--no-imports", "-c", _APPEND.format(entries=json.loads(json.dumps(coded))))
    return printed.split()[-len(entries) :]


def wait_for_poison(platform: LivePlatform, wanted: list[bytes], seconds: float = 60.0) -> None:
    """Until all of it is in quarantine, byte for byte, each once. Raises AssertionError."""

    def is_there() -> bool:
        found = _found(platform)
        return all(found.count(data) == 1 for data in wanted)

    platform.wait_until(is_there, seconds, f"{len(wanted)} entries set aside")


def remove_poison(platform: LivePlatform, data: list[bytes]) -> None:
    """As an operator does who has seen it; whatever else is there stays."""
    with platform.database() as connection:
        connection.execute(_REMOVE, [data])


def poison_counted(platform: LivePlatform) -> float:
    """What /metrics says of entries that were set aside."""
    text = platform.get("/metrics").body.decode()
    return sum(
        float(found) for found in re.findall(r"^iot_poison_entries_total(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
    )


def _found(platform: LivePlatform) -> list[Any]:
    with platform.database() as connection:
        return [bytes(row[0]) for row in connection.execute(_FOUND)]

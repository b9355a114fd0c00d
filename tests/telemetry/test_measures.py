"""What telemetry counts is there before it happens for the first time."""

from __future__ import annotations

import re

from iotplatform.env import BASE_DIR
from telemetry import measures
from telemetry.rollups.levels import LEVELS


def values(counter: measures.Counter, label: str) -> set[str]:
    (family,) = counter.collect()
    return {sample.labels[label] for sample in family.samples}


def test_every_reason_that_intake_gives_is_counted_from_the_start() -> None:
    """The codes of the sources are those of the counter: a new one has to be named there."""
    source = "".join(path.read_text() for path in (BASE_DIR / "telemetry" / "intake").rglob("*.py"))
    given = set(re.findall(r'(?:refuse_row|refuse_run|_refuse)\([^)]*?"([a-z]+_[a-z_]+|malformed)",', source))
    assert len(given) >= 10
    assert given <= values(measures.readings_rejected, "code")
    assert given <= values(measures.readings_quarantined, "code")


def test_every_level_of_rollups_is_counted_from_the_start() -> None:
    assert values(measures.rollup_buckets, "level") == {level.name for level in LEVELS}

"""How long stored entries stay in the log."""

from __future__ import annotations

from telemetry.store.retained import Retained


def test_entries_fall_due_when_their_time_is_over() -> None:
    retained = Retained(seconds=60, most_bytes=1000)
    retained.committed(0, "1-0", 10)
    retained.committed(30, "2-0", 20)
    assert retained.due(59, "2-0") is None
    assert retained.due(60, "2-0") == "1-0"
    assert retained.due(60, "2-0") is None
    assert retained.due(90, "2-0") == "2-0"


def test_beyond_their_bytes_the_oldest_fall_due_early() -> None:
    retained = Retained(seconds=60, most_bytes=100)
    for number in range(1, 6):
        retained.committed(0, f"{number}-0", 50 * number)
    assert retained.due(0, "9-0") == "2-0"


def test_what_is_not_judged_never_falls_due() -> None:
    retained = Retained(seconds=0, most_bytes=0)
    retained.committed(0, "9-0", 1)
    retained.committed(0, "10-0", 2)
    assert retained.due(100, "8-5") is None
    assert retained.due(100, "9-0") == "9-0"
    assert retained.due(100, "10-0") == "10-0"


def test_the_less_memory_is_left_the_sooner_they_go() -> None:
    retained = Retained(seconds=60, most_bytes=10_000)
    for second in range(61):
        retained.committed(second, f"{second}-0", 100 * second)
    assert retained.due(60, "99-0", memory_taken=0.5) == "0-0"
    assert retained.due(60, "99-0", memory_taken=0.65) == "30-0"
    assert retained.due(60, "45-0", memory_taken=0.95) == "45-0"  # never what was not judged
    assert retained.due(60, "99-0", memory_taken=0.8) == "60-0"

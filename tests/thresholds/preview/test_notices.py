"""How many messages one channel would have had."""

from __future__ import annotations

import pytest

from thresholds.matching import MatchingSeries
from thresholds.notices import PreviewAlert, notices

SECOND = 1_000_000
SERIES = MatchingSeries(1, "pump-7", "temperature")


def alert(
    opened: float, ended: float | None = None, raised: tuple[float, ...] = (), flapping: float | None = None
) -> PreviewAlert:
    """Times in seconds."""
    return PreviewAlert(
        SERIES,
        round(opened * SECOND),
        3,
        ended_at=None if ended is None else round(ended * SECOND),
        flapping_at=None if flapping is None else round(flapping * SECOND),
        raised_at=[round(at * SECOND) for at in raised],
    )


@pytest.mark.parametrize(
    ("alerts", "messages"),
    [
        ([], 0),
        ([alert(0)], 1),
        ([alert(0), alert(30)], 1),
        ([alert(0), alert(30.1)], 2),
        # The window begins with the first one, and is not moved on by those that join.
        ([alert(0), alert(20), alert(40)], 2),
        # Over before its message went: named in it, and no word more.
        ([alert(0, 10)], 1),
        ([alert(0, 30)], 1),
        ([alert(0, 31)], 2),
        # Recoveries are grouped by themselves.
        ([alert(0, 100), alert(1, 130)], 2),
        ([alert(0, 100), alert(1, 131)], 3),
        # One that is told in the second message of openings is not over before that went.
        ([alert(0), alert(31, 60)], 2),
        ([alert(0), alert(31, 62)], 3),
        # Getting worse is told like an opening, and joins the message that collects.
        ([alert(0, raised=(10,))], 1),
        ([alert(0, raised=(100,))], 2),
        ([alert(0, 70, raised=(50,))], 3),
        # Flapping has messages of its own, which tell of that opening too.
        ([alert(0, flapping=0)], 1),
        ([alert(0), alert(10, flapping=10)], 2),
        ([alert(0, 20, flapping=0)], 1),
        ([alert(0, 40, flapping=0)], 2),
    ],
)
def test_messages_are_counted_as_they_would_be_sent(alerts: list[PreviewAlert], messages: int) -> None:
    assert notices(alerts, 30) == messages


def test_without_grouping_each_moment_is_a_message() -> None:
    assert notices([alert(0, 10), alert(1, 10)], 0) == 3

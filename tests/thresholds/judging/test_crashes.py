"""Workers and servers die in the middle of judging: never two live alerts of a pair, none missing."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from alerts.models import Alert
from iotplatform.judging import ShardJudging
from telemetry.store import positions
from tests.iotplatform.pipeline.parts import Breakable, Killed
from tests.thresholds.judging.parts import Sender, alerts, make_threshold, worker
from thresholds import judge as judging
from thresholds.hearing import Hearing
from thresholds.models import PairState

SEAMS = [
    (judging, "load_versions"),
    (judging, "load_states"),
    (judging, "evaluate"),
    (judging, "save_states"),
    (judging, "save_late"),
    (judging.ThresholdJudge, "_write"),
    (ShardJudging, "chunk"),
    (positions, "move"),
    (Hearing, "hand_over"),
]


def breaks(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, *, after: bool) -> None:
    """Make one function raise once, before or after its work."""
    original, left = getattr(owner, name), [error]

    def broken(*arguments: Any, **options: Any) -> Any:
        answer = original(*arguments, **options) if after or not left else None
        if left:
            raise left.pop()
        return answer

    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [Killed(), ValueError("a fault of ours")], ids=repr)
@pytest.mark.parametrize(("owner", "name"), SEAMS, ids=[name for _, name in SEAMS])
def test_a_death_at_any_step_leaves_what_would_have_been(
    platform_db: None, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, after: bool
) -> None:
    make_threshold(levels={"warning": {"trigger": 80, "clear": 70}, "critical": 90})
    sender = Sender.make()
    with worker(sender.shard) as one:
        sender.send((0, 85))
        one.work()
        sender.send((10, 95), (20, 60), (30, 85))
        sender.send((40, 86))
        breaks(monkeypatch, owner, name, error, after=after)
        try:
            one.work()
        except type(error):
            pass
        monkeypatch.undo()
        sender.send((50, 95))
        one.work()
    assert alerts() == [("cleared", "critical", 0, 20), ("open", "critical", 30, None)]
    assert [alert.readings for alert in Alert.objects.order_by("id")] == [2, 3]
    assert PairState.objects.get().severity == 4


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_a_commit_in_doubt_opens_one_alert(platform_db: None, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    make_threshold()
    sender = Sender.make()
    with worker(sender.shard, kind=Breakable) as one:
        sender.send((0, 70))
        one.work()
        sender.send((1, 85))

        def fail() -> None:
            monkeypatch.undo()
            raise psycopg.OperationalError("the connection was lost")

        monkeypatch.setattr(Breakable, moment, staticmethod(fail))
        with pytest.raises(psycopg.OperationalError):
            one.work()
        sender.send((2, 86))
        one.work()
    assert alerts() == [("open", "warning", 1, None)]
    assert Alert.objects.get().readings == 2


def test_workers_that_take_a_shard_from_each_other_know_what_the_other_did(platform_db: None) -> None:
    make_threshold(levels={"warning": {"trigger": 80, "clear": 70}}, consecutive=2)
    sender = Sender.make()
    with worker(sender.shard) as one, worker(sender.shard) as other:
        for place, value in enumerate([85, 85, 75, 60, 85, 85]):
            sender.send((place, value))
            (one, other)[place % 2].work()
    assert alerts() == [("cleared", "warning", 1, 3), ("open", "warning", 5, None)]


def test_two_workers_at_once_open_one_alert(platform_db: None) -> None:
    make_threshold()
    sender = Sender.make()
    for at in range(40):
        sender.send((at, 85))
    with worker(sender.shard, drain_max_rows=1) as one, worker(sender.shard, drain_max_rows=1) as other:
        threads = [threading.Thread(target=each.work) for each in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        one.work()
    assert alerts() == [("open", "warning", 0, None)]
    assert Alert.objects.get().readings == 40

"""Requests on an event loop share appends: each gets its own ids, and a dead log is told to all who wait at once."""

from __future__ import annotations

import asyncio

import pytest

from telemetry.log.breaker import Breaker
from telemetry.log.entries import Append, Appended, LogDown, LogError, LogFull
from telemetry.log.loop_commit import LoopCommit


class Standin:
    """A log whose rounds wait until they are let go, and may fail."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, requests: list[Append]) -> list[Appended | LogError]:
        self.rounds.append(len(requests))
        await asyncio.wait_for(self.go_on.wait(), 20)
        if self.error is not None:
            raise self.error
        return [LogFull("full") if name == "big" else Appended("s", [name]) for name in map(_name, requests)]


def _name(request: Append) -> str:
    return request.entries[0][1].decode()


def _request(name: str) -> Append:
    return Append([(0, name.encode())])


async def _begin(commit: LoopCommit, names: list[str]) -> list[asyncio.Task[Appended]]:
    """The first alone in its round, the others waiting for the next."""
    tasks = [asyncio.ensure_future(commit.append(_request(name))) for name in names]
    await asyncio.sleep(0)
    return tasks


def test_what_comes_during_a_round_trip_shares_the_next_and_each_gets_its_own_ids() -> None:
    log = Standin()

    async def work() -> list[Appended | BaseException]:
        commit = LoopCommit(log, Breaker(None))  # type: ignore[arg-type]
        tasks = await _begin(commit, ["first"])
        while not log.rounds:
            await asyncio.sleep(0.001)
        tasks += await _begin(commit, ["a", "big", "b"])
        log.go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, a, big, b = asyncio.run(work())
    assert [answer.ids for answer in (first, a, b) if isinstance(answer, Appended)] == [["first"], ["a"], ["b"]]
    assert isinstance(big, LogFull)
    assert log.rounds == [1, 3]


def test_a_dead_log_is_told_to_all_who_wait_and_then_at_once() -> None:
    log = Standin()
    log.error = LogDown("gone")
    now = [0.0]

    async def work() -> list[Appended | BaseException]:
        commit = LoopCommit(log, Breaker(None, clock=lambda: now[0]))  # type: ignore[arg-type]
        tasks = await _begin(commit, ["first"])
        while not log.rounds:
            await asyncio.sleep(0.001)
        tasks += await _begin(commit, ["a", "b"])
        log.go_on.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(LogDown):  # the breaker is open: the log is not even asked
            await commit.append(_request("c"))
        log.error = None
        now[0] = 2.0
        return [*answers, await commit.append(_request("d"))]

    *failed, last = asyncio.run(work())
    assert [type(answer) for answer in failed] == [LogDown] * 3
    assert isinstance(last, Appended)
    assert log.rounds == [1, 1], "those who waited are not made to wait for another round"


def test_an_error_that_is_no_log_error_leaves_nobody_waiting() -> None:
    log = Standin()
    log.error = RuntimeError("unexpected")

    async def work() -> list[Appended | BaseException]:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        commit = LoopCommit(log, Breaker(None))  # type: ignore[arg-type]
        tasks = await _begin(commit, ["first"])
        while not log.rounds:
            await asyncio.sleep(0.001)
        tasks += await _begin(commit, ["a"])
        log.go_on.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        log.error = None
        return [*answers, await commit.append(_request("next"))]

    first, a, last = asyncio.run(work())
    assert isinstance(first, LogDown)
    assert isinstance(a, LogDown)
    assert isinstance(last, Appended)

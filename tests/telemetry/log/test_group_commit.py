"""Requests of many threads share appends: each gets its own ids, and nobody waits longer than its patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings

from telemetry.log.breaker import Breaker
from telemetry.log.entries import START, Append, Appended, LogDown, LogError, LogFull
from telemetry.log.group_commit import GroupCommit
from telemetry.log.redis_streams import RedisLog
from tests.builders import wait_until


class Standin:
    """A log whose appends wait until they are let go, and may fail."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.began, self.go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def append(self, requests: list[Append]) -> list[Appended | LogError]:
        self.rounds.append(len(requests))
        self.began.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return [Appended("s", [entry.decode() for _, entry in request.entries]) for request in requests]


def in_threads(count: int, work: Callable[[int], Any]) -> tuple[list[threading.Thread], list[Any]]:
    """Start so many threads; their answers or errors stand in the list when they have ended."""
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            answers[number] = work(number)
        except BaseException as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_sixty_four_threads_each_get_the_ids_of_their_own_entries(redis_client: redis.Redis) -> None:
    log = RedisLog(settings.SERVERS["redis_url"], 3.0)
    group = GroupCommit(log, 3.0)

    def send(number: int) -> dict[str, bytes]:
        sent = {}
        for turn in range(20):
            payload = b"%d/%d" % (number, turn)
            sent[group.append(Append([(0, payload)])).ids[0]] = payload
        return sent

    threads, answers = in_threads(64, send)
    join(threads)
    expected = {entry_id: payload for sent in answers for entry_id, payload in sent.items()}
    assert len(expected) == 64 * 20
    assert {entry.id: entry.payload for entry in log.read(0, START, 1 << 20).entries} == expected


def test_requests_that_come_while_one_is_under_way_share_the_next_round() -> None:
    log = Standin()
    group = GroupCommit(log, 20.0)
    first, _ = in_threads(1, lambda _: group.append(Append([(0, b"first")])))
    assert log.began.wait(20)
    others, answers = in_threads(10, lambda number: group.append(Append([(0, b"%d" % number)])))
    wait_until(lambda: len(group._waiting) == 10)
    log.go_on.set()
    join([*first, *others])
    assert log.rounds == [1, 10]
    assert [answer.ids for answer in answers] == [[str(number)] for number in range(10)]


def test_who_is_out_of_patience_leaves_before_its_request_is_sent() -> None:
    """Answered with LogDown, a request must not be in the log: its sender sends it again."""
    log = Standin()
    group = GroupCommit(log, 0.2)
    first, _ = in_threads(1, lambda _: group.append(Append([(0, b"first")])))
    assert log.began.wait(20)
    began = time.monotonic()
    with pytest.raises(LogDown):
        group.append(Append([(0, b"second")]))
    assert time.monotonic() - began < 2
    log.go_on.set()
    join(first)
    assert group.append(Append([(0, b"third")])).ids == ["third"]
    assert log.rounds == [1, 1]


@pytest.mark.parametrize("error", [LogDown("away"), RuntimeError("a bug")])
def test_an_error_reaches_everybody_in_the_round_and_the_next_round_works(error: Exception) -> None:
    log = Standin()
    group = GroupCommit(log, 20.0)
    first, _ = in_threads(1, lambda _: group.append(Append([(0, b"first")])))
    assert log.began.wait(20)
    others, answers = in_threads(5, lambda number: group.append(Append([(0, b"x")])))
    wait_until(lambda: len(group._waiting) == 5)
    log.error = error
    log.go_on.set()
    join([*first, *others])
    assert all(isinstance(answer, type(error) | LogDown) for answer in answers)
    log.error = None
    assert group.append(Append([(0, b"later")])).ids == ["later"]


class Answers:
    """Stands for the group commit: answers or raises what it is told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: LogError | None = None

    def append(self, request: Append) -> Appended:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Appended("s", ["1-0"])


def test_a_log_that_is_down_is_asked_once_a_second_only() -> None:
    now = [100.0]
    log = Answers()
    breaker = Breaker(log, clock=lambda: now[0])  # type: ignore[arg-type]
    breaker.append(Append([]))
    log.error = LogDown("away")
    for _ in range(10):
        with pytest.raises(LogDown):
            breaker.append(Append([]))
    assert (log.asked, breaker.is_open) == (2, True)
    now[0] += 1.1
    log.error = None
    breaker.append(Append([]))
    breaker.append(Append([]))
    assert (log.asked, breaker.is_open) == (4, False)


def test_a_full_log_is_not_down() -> None:
    log = Answers()
    breaker = Breaker(log)  # type: ignore[arg-type]
    log.error = LogFull("full")
    for _ in range(3):
        with pytest.raises(LogFull):
            breaker.append(Append([]))
    assert (log.asked, breaker.is_open) == (3, False)

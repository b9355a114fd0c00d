"""Questions to other servers that must be answered in time: each has a deadline, and none can pile up behind a server
that hangs, because a question that is still unanswered is not asked a second time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from iotplatform.observability.logs import redacted
from telemetry.database import connection_parameters

__all__ = ["Answer", "ask", "database", "redis_server"]

#: A single step on the network. The whole question has its own, shorter or longer, deadline.
_STEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a question ended: with a value, or (not ok) with the reason in one line."""

    ok: bool
    detail: str = ""
    value: Any = None


Question = Callable[[], Answer]

_unanswered: dict[str, Future[Answer]] = {}
_lock = threading.Lock()


def ask(questions: Mapping[str, Question], seconds: float) -> dict[str, Answer]:
    """Ask all at once, each in a thread of its own; returns after ``seconds`` at the latest.

    A question fails by an exception or by being late. Who asks the same (by name) meanwhile shares the answer.
    """
    deadline = time.monotonic() + seconds
    asked = {name: _asked(name, question) for name, question in questions.items()}
    return {name: _answer(future, deadline, seconds) for name, future in asked.items()}


@contextmanager
def database() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, so that a used-up pool is not taken for a database that is down. Autocommit."""
    parameters = connection_parameters()
    milliseconds = int(_STEP_SECONDS * 1000)
    parameters |= {
        "connect_timeout": 2,  # libpq takes no less
        "tcp_user_timeout": 2 * milliseconds,
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC",
        "application_name": "iot-probe",
    }
    with psycopg.connect(**parameters, autocommit=True) as connection:
        yield connection


@contextmanager
def redis_server(url: str | None = None) -> Iterator[redis.Redis]:
    """A client for one question to the log server, or to the one that the URL names."""
    client = redis.Redis.from_url(
        url or settings.SERVERS["redis_url"],
        socket_timeout=_STEP_SECONDS,
        socket_connect_timeout=_STEP_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        yield client


def _asked(name: str, question: Question) -> Future[Answer]:
    with _lock:
        future = _unanswered.get(name)
        if future is None:
            future = _unanswered[name] = Future()
            threading.Thread(target=_work, args=(name, question, future), name=f"probe-{name}", daemon=True).start()
    return future


def _work(name: str, question: Question, future: Future[Answer]) -> None:
    try:
        answer = question()
    except Exception as error:  # whatever it is, it is the answer
        answer = Answer(False, _reason(error))
    with _lock:
        del _unanswered[name]
    future.set_result(answer)


def _answer(future: Future[Answer], deadline: float, seconds: float) -> Answer:
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return Answer(False, f"no answer within {seconds:g} s")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return str(redacted(text))[:300]

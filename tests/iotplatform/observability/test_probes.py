"""Questions to servers: in time, never piling up, and without secrets in what they say."""

import threading
import time

import pytest

from iotplatform.observability.probes import Answer, ask


def test_answers_come_by_name():
    answers = ask({"a": lambda: Answer(True, value=1), "b": lambda: Answer(False, "no")}, 1)
    assert answers == {"a": Answer(True, value=1), "b": Answer(False, "no")}


def test_an_error_is_an_answer_in_one_line_without_secrets():
    def crash() -> Answer:
        raise ValueError("cannot reach\n postgresql://iot:hunter2@db/iot")

    assert ask({"crash": crash}, 1)["crash"] == Answer(False, "cannot reach postgresql://iot:[redacted]@db/iot")


@pytest.mark.alone
def test_a_question_that_hangs_is_late_and_not_asked_again_until_it_ends():
    may_end, asked = threading.Event(), []

    def hang() -> Answer:
        asked.append(1)
        may_end.wait(10)
        return Answer(True)

    began = time.monotonic()
    for _ in range(3):
        late = ask({"hang": hang, "quick": lambda: Answer(True)}, 0.1)
        assert late == {"hang": Answer(False, "no answer within 0.1 s"), "quick": Answer(True)}
    assert time.monotonic() - began < 2
    assert len(asked) == 1
    may_end.set()
    assert ask({"hang": hang}, 5)["hang"].ok

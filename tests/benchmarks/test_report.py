"""bench.json has the form of the public contract, and a figure is judged by the right side of its goal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.report import Result, failed, skipped, write


def test_the_file_has_the_form_of_the_contract(tmp_path: Path) -> None:
    result = Result("P1", "whole way", 0.41, 0.6, 150_000, "readings/s", {"rounds": [1, 2, 3]})
    write(tmp_path / "run" / "bench.json", [result], {"cores": 2}, "partitions: PostgreSQL 18.6")
    assert json.loads((tmp_path / "run" / "bench.json").read_text()) == {
        "machine": {"cores": 2},
        "engine": "partitions: PostgreSQL 18.6",
        "results": [
            {
                "id": "P1",
                "value": 0.41,
                "goal": 0.6,
                "absolute": 150_000,
                "unit": "readings/s",
                "detail": {"rounds": [1, 2, 3]},
            }
        ],
    }


@pytest.mark.parametrize(
    ("value", "goal", "lower_is_better", "verdict"),
    [
        (0.6, 0.6, False, "met"),
        (0.59, 0.6, False, "missed"),
        (249.0, 250.0, True, "met"),
        (251.0, 250.0, True, "missed"),
        (380_000.0, None, False, ""),
    ],
)
def test_a_figure_is_judged_by_its_goal(value: float, goal: float | None, lower_is_better: bool, verdict: str) -> None:
    result = Result("X", "x", value, goal, value, "", lower_is_better=lower_is_better)
    assert result.verdict() == verdict


def test_a_run_that_loses_a_reading_has_no_figure() -> None:
    result = failed("P1", "whole way", RuntimeError("1 reading lost"))
    assert (result.value, result.verdict()) == (None, "FAILED")
    assert "1 reading lost" in result.detail["failed"]


def test_what_a_machine_cannot_measure_is_no_failure() -> None:
    result = skipped("V", "beside others", "InfluxDB is not installed")
    assert (result.value, result.verdict(), result.failed) == (None, "skipped", False)
    assert failed("V", "beside others", RuntimeError()).failed

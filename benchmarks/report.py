"""Results: a table for people, bench.json for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Result:
    """One figure beside its goal, with the absolute figure that it comes from.

    `value` is the figure that is worst against its goal; the others are in `detail`. It is None where the run failed or was
    left out.
    """

    id: str
    what: str
    value: float | None
    goal: float | None
    absolute: float | None
    unit: str
    detail: dict[str, Any] = field(default_factory=dict)
    lower_is_better: bool = False

    @property
    def failed(self) -> bool:
        return self.value is None and "skipped" not in self.detail

    def verdict(self) -> str:
        if self.value is None:
            return "FAILED" if self.failed else "skipped"
        if self.goal is None:
            return ""
        met = self.value <= self.goal if self.lower_is_better else self.value >= self.goal
        return "met" if met else "missed"


def failed(measurement: str, what: str, error: BaseException) -> Result:
    return Result(measurement, what, None, None, None, "", {"failed": f"{type(error).__name__}: {error}"})


def skipped(measurement: str, what: str, why: str) -> Result:
    """Something that this machine cannot measure: no failure, but said."""
    return Result(measurement, what, None, None, None, "", {"skipped": why})


def table(results: list[Result], machine: dict[str, Any], engine: str, console: Console) -> None:
    """Print goal and figure side by side, then what the machine was."""
    shown = Table(box=box.SIMPLE, show_edge=False)
    for name in ("id", "what", "figure", "goal", "", "absolute", "unit"):
        shown.add_column(name, justify="right" if name in ("figure", "goal", "absolute") else "left", overflow="fold")
    for result in results:
        sign = "≤" if result.lower_is_better else "≥"
        goal = "" if result.goal is None else f"{sign} {_number(result.goal)}"
        shown.add_row(
            result.id, result.what, _number(result.value), goal, result.verdict(), _number(result.absolute), result.unit
        )
    console.print(shown)
    for result in results:
        for word in ("failed", "skipped"):
            if word in result.detail:
                console.print(f"{result.id} {word}: {result.detail[word]}", markup=False)
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
    console.print(f"{engine}; {facts}", markup=False)


def write(path: Path, results: list[Result], machine: dict[str, Any], engine: str) -> None:
    """bench.json in the form of the public contract."""
    listed = [
        {
            "id": result.id,
            "value": result.value,
            "goal": result.goal,
            "absolute": result.absolute,
            "unit": result.unit,
            "detail": result.detail,
        }
        for result in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "engine": engine, "results": listed}, indent=1) + "\n")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

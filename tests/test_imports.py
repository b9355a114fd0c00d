"""Imports go one way: iotplatform → alerts → thresholds → telemetry; and decoders, validators and the log's forms are pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
#: From the foundation up: each may import itself and what stands before it.
LAYERS = ["telemetry", "thresholds", "alerts", "iotplatform"]
#: No Django, no I/O library: numpy, msgspec, the standard library, and each other.
PURE = [
    "telemetry/intake/batch.py",
    "telemetry/intake/times.py",
    "telemetry/intake/validate.py",
    "telemetry/intake/refuse.py",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "telemetry/intake/decode").glob("*.py"))),
    "telemetry/log/payload.py",
    "telemetry/log/entries.py",
    "telemetry/simulator/fleet.py",
    "thresholds/backtest.py",
    "thresholds/definition.py",
    "thresholds/duration_text.py",
    "thresholds/envelope.py",
    "thresholds/fault.py",
    "thresholds/level_order.py",
    "thresholds/message.py",
    "thresholds/notices.py",
    "thresholds/plain_yaml.py",
    "thresholds/quantities.py",
    "thresholds/schedule_overlap.py",
    "thresholds/schedule_text.py",
    "thresholds/sentence.py",
]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_goes_a_step_back(layer: str) -> None:
    above = LAYERS[LAYERS.index(layer) + 1 :]
    steps_back = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted((ROOT / layer).rglob("*.py"))
        for line, module in imported(path)
        if module.partition(".")[0] in above
    ]
    assert steps_back == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_know_no_framework(name: str) -> None:
    impure = {"django", "rest_framework", "psycopg", "redis", "celery", "kombu"}
    found = [f"line {line}: {module}" for line, module in imported(ROOT / name) if module.partition(".")[0] in impure]
    assert found == []


def test_no_file_is_named_for_nothing() -> None:
    names = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
    places = [path for layer in [*LAYERS, "tests", "benchmarks"] for path in (ROOT / layer).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in places if path.name in names] == []

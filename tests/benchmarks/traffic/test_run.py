"""The whole of `make load`, short: every kind of user, and a verdict that is good."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.traffic.plan import SHARES
from iotplatform.env import BASE_DIR


@pytest.mark.slow
def test_a_fleet_and_its_operators_find_every_promise_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.traffic", "--seconds", "8", "--users", "14"],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.splitlines()[-1].startswith("load ok: ")
    assert all(f"× {kind}" in done.stdout for kind in SHARES)
    requests = ("single", "batch", "gateway", "retry, same key", "retry, no key", "late burst", "bad: ", "overview")
    assert not [name for name in requests if f"│ {name}" not in done.stdout]

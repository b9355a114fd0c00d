"""CPU time is counted by kind, and that of children that ended inside the block is not lost."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from benchmarks.machine.cpu import Spent

_BURN = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
_PARENT = (
    f"import subprocess, sys; input(); subprocess.run([sys.executable, '-c', {_BURN!r}]); print(flush=True); input()"
)


def test_time_of_a_process_and_of_its_children_that_have_ended() -> None:
    line = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        with Spent(lambda: {"parent": [psutil.Process(parent.pid)], "none": []}) as cpu:
            parent.stdin.write("\n")
            parent.stdin.flush()
            parent.stdout.readline()
        parent.communicate("\n")
    assert 0.19 < cpu.spent["parent"] < 5
    assert cpu.spent["none"] == 0
    assert cpu.took > 0.19
    assert cpu.beyond({"parent": cpu.spent["parent"] / cpu.took / 2})["parent"] == pytest.approx(
        cpu.spent["parent"] / 2
    )
    assert cpu.beyond({"none": 1.0})["none"] == 0

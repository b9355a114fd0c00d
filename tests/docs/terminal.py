"""A terminal in the project's folder, as a reader of the documents has it.

The folder is made of links to the project's files, with a `.run/` of its own, so that what commands write lands elsewhere.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from iotplatform.env import BASE_DIR
from tests.docs.blocks import Block

__all__ = ["Terminal"]

_FILES = Path(__file__).parent / "files"
_LEFT_OUT = {".run", ".git", "site", "static-root", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
_SECONDS = 120.0
_STOP_SECONDS = 15.0
_OPENING = """\
set -euo pipefail
manage.py() { .venv/bin/python manage.py "$@"; }
"""


class Terminal:
    """One bash that runs the blocks of a page one after the other; a context manager.

    ``address`` takes the place of http://localhost:8000 in what is run.
    """

    def __init__(self, folder: Path, run_dir: Path, address: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._address = address
        self._environment = {**environment, "RUN_DIR": str(run_dir), "HISTFILE": ""}
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._staying: list[subprocess.Popen[bytes]] = []
        _furnish(folder, run_dir)

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._say(_OPENING)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._bash.stdin
        self._bash.stdin.close()
        try:
            self._bash.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.wait()
        for process in reversed(self._staying):
            _end(process)

    def run(self, block: Block) -> str:
        """What it printed. Raises AssertionError where it fails, prints something else, or takes too long."""
        if block.first:
            self._do(block, block.first)
        if block.until is not None:
            return self._stay(block)
        printed = self._do(block, block.text)
        if block.printed:
            assert block.printed.search(printed), f"{block} printed something else:\n{printed[-4000:]}"
        return printed

    def _do(self, block: Block, text: str) -> str:
        script = self._folder / f".block-{uuid.uuid4().hex}"
        script.write_text(self._here(text))
        mark = f"--- {uuid.uuid4()} ---"
        self._say(f"source {script.name} < /dev/null\nprintf '\\n%s\\n' '{mark}'\n")
        printed: list[str] = []
        end = time.monotonic() + _SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{block} takes longer than {_SECONDS} s:\n{''.join(printed)[-4000:]}") from None
            assert line is not None, f"{block} failed:\n{''.join(printed)[-4000:]}"
            if line.strip() == mark:
                return "".join(printed)
            printed.append(line)

    def _stay(self, block: Block) -> str:
        output = self._folder / f".stays-{len(self._staying)}.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", f"{_OPENING}{self._here(block.text)}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._staying.append(process)
        end = time.monotonic() + _SECONDS
        while (block.until or "") not in (said := output.read_text(errors="replace")):
            assert process.poll() is None, f"{block} ended:\n{said[-4000:]}"
            assert time.monotonic() < end, f"{block} does not say {block.until!r}:\n{said[-4000:]}"
            time.sleep(0.05)
        return said

    def _here(self, text: str) -> str:
        return text.replace("http://localhost:8000", self._address)

    def _say(self, text: str) -> None:
        assert self._bash.stdin
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def _read(self) -> None:
        assert self._bash.stdout
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put(None)


def _furnish(folder: Path, run_dir: Path) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for entry in BASE_DIR.iterdir():
        if entry.name not in _LEFT_OUT:
            (folder / entry.name).symlink_to(entry)
    (folder / ".run").symlink_to(run_dir)
    for entry in _FILES.iterdir():
        (folder / entry.name).write_bytes(entry.read_bytes())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, which reaches the whole group as in a terminal."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise AssertionError(f"{process.args!r} does not end with Ctrl-C") from None

"""What the processes print: to the terminal with their name before each line, and to RUN_DIR/logs/<name>.log."""

import collections
import logging
import logging.handlers
import queue
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

__all__ = ["Lines", "Output"]

_FILE_BYTES = 10 << 20
_FILES_KEPT = 3
_TAIL_LINES = 25
_LONGEST_LINE = 1 << 16
_TERMINAL_BACKLOG = 10_000


class Output:
    """Takes the bytes of all processes. Never blocks on a terminal that does not read: its lines are in the files."""

    def __init__(self, logs: Path, terminal: TextIO | None = None) -> None:
        self._logs = logs
        self._files: dict[str, _LogFile] = {}
        self._tails: dict[str, collections.deque[str]] = {}
        self._terminal = _Terminal(sys.stdout if terminal is None else terminal)

    def say(self, text: str) -> None:
        """What the launcher does; kept in launcher.log."""
        self._file("launcher").append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}")
        self._terminal.write(text)

    def show(self, text: str) -> None:
        """Something for the user's eyes only: on the terminal, in no file."""
        self._terminal.write(text)

    def line(self, name: str, raw: bytes, quiet: bool = False) -> None:
        """One line that the process `name` printed; a quiet one goes to its file only."""
        text = raw.decode(errors="replace").rstrip()
        self._tails.setdefault(name, collections.deque(maxlen=_TAIL_LINES)).append(text)
        self._file(name).append(text)
        if not quiet:
            self._terminal.write(f"{name:<10} | {text}")

    def tail(self, name: str) -> str:
        """The last lines of a process, for a message that says why it did not start."""
        return "\n".join(f"    {line}" for line in self._tails.get(name, ["(it printed nothing)"]))

    def close(self) -> None:
        self._terminal.close()
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> "_LogFile":
        if name not in self._files:
            self._files[name] = _LogFile(self._logs / f"{name}.log")
        return self._files[name]


class Lines:
    """Cuts one process' stream of bytes into lines for an Output."""

    def __init__(self, output: Output, name: str, quiet: bool) -> None:
        self._output, self._name, self._quiet = output, name, quiet
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._output.line(self._name, line, self._quiet)

    def finish(self) -> None:
        if self._rest:
            self._output.line(self._name, self._rest, self._quiet)
            self._rest = b""


class _LogFile(logging.handlers.RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8", delay=True)

    def append(self, text: str) -> None:
        self.handle(logging.LogRecord("", logging.INFO, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not stop what is being logged."""


class _Terminal:
    """Writes in a thread of its own; drops lines while the terminal stands still, stops when it is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(_TERMINAL_BACKLOG)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        try:
            if self._dropped:
                self._waiting.put_nowait(f"… {self._dropped} lines left out here: the terminal was slow")
                self._dropped = 0
            self._waiting.put_nowait(text)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what waits, unless the terminal stands still."""
        try:
            self._waiting.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(timeout=1)

    def _run(self) -> None:
        gone = False
        while (text := self._waiting.get()) is not None:
            if gone:
                continue
            try:
                print(text, file=self._stream, flush=True)
            except (OSError, ValueError):  # closed: the platform goes on without it
                gone = True

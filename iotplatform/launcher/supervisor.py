"""Keeps the platform's processes running: a dead one is started again, always; all are stopped in order.

Why not a library (each was tried): circus 0.19 spins and takes no signal any
more when a command cannot be executed, stops everything at once instead of in
order, and reaps children that are not its own; supervisor 4.3 waits one second
longer after each failed start, without a limit, and cannot be embedded; honcho
stops everything when one process ends.
"""

import asyncio
import os
import signal
import subprocess
import time
from itertools import groupby
from pathlib import Path

from iotplatform.launcher.command import Command
from iotplatform.launcher.leftovers import ProcessRecord
from iotplatform.launcher.output import Lines, Output

__all__ = ["Child", "Supervisor", "back_off"]

_SHORTEST_DELAY = 0.2
_LONGEST_DELAY = 4.0  # the promise is 5 s, the start itself included
_SETTLED_SECONDS = 10.0
_LAST_RESORT_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.5
_READ_BYTES = 1 << 16
_NOT_STARTED = 127  # as the shell says it


def back_off(failures: int) -> float:
    """Seconds to wait before the next start after so many short lives in a row."""
    return min(_LONGEST_DELAY, _SHORTEST_DELAY * 2.0 ** min(failures, 10))


class Child:
    """A command that is run. `deaths` counts how often it ended unasked."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.deaths = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.ended: asyncio.Future[int] | None = None
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None

    def send(self, signum: int) -> None:
        """Signal the process itself; with SIGKILL, all of its process group."""
        if self.process is None:
            return
        if signum == signal.SIGKILL:
            _kill_group(self.process.pid)
        else:
            self.process.send_signal(signum)


class Supervisor:
    """Owns all children; lives in one event loop in the main thread (children die with the thread that forks them)."""

    def __init__(self, output: Output, record: ProcessRecord, folder: Path) -> None:
        """`folder`: where the commands run."""
        self._folder = folder
        self._output = output
        self._record = record
        self._children: dict[str, Child] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(self, command: Command) -> Child:
        """Keep this command running until `stop`."""
        child = self._children[command.name] = Child(command)
        child.task = asyncio.create_task(self._keep_running(child), name=command.name)
        return child

    async def run_once(self, command: Command) -> int:
        """Run a command to its end; its exit status (negative: the signal that ended it)."""
        child = self._children[command.name] = Child(command)
        try:
            return await self._live(child)
        finally:
            if not child.running:  # else cancelled: `stop` ends it with the others
                del self._children[command.name]

    async def stop(self, seconds: float) -> None:
        """Stop everything, stage by stage, within `seconds` in all; who does not go when asked is killed."""
        deadline = time.monotonic() + seconds
        for child in self._children.values():
            child.stopping.set()
        in_order = sorted(self._children.values(), key=lambda child: child.command.stage)
        for _, stage in groupby(in_order, key=lambda child: child.command.stage):
            await asyncio.gather(*(self._stop(child, deadline) for child in stage))
        await asyncio.gather(*(child.task for child in in_order if child.task is not None))

    def kill_all(self) -> None:
        """SIGKILL to everything at once: for who cannot wait for `stop`."""
        for child in self._children.values():
            child.stopping.set()
            child.send(signal.SIGKILL)

    async def _stop(self, child: Child, deadline: float) -> None:
        command = child.command
        reserve = _LAST_RESORT_SECONDS if command.last_resort else 0.0
        left = max(0.0, deadline - time.monotonic() - reserve)
        child.send(command.stop_signal)
        if not await _ends(child, min(command.stop_seconds, left)) and command.last_resort:
            self._output.say(f"{command.name} takes long to stop: sending {command.last_resort.name}")
            child.send(command.last_resort)
            await _ends(child, _LAST_RESORT_SECONDS)
        if not await _ends(child, 0):
            self._output.say(f"{command.name} does not stop: killed")
            child.send(signal.SIGKILL)
            await _ends(child, _LAST_RESORT_SECONDS)

    async def _keep_running(self, child: Child) -> None:
        short_lives = 0
        while not child.stopping.is_set():
            born = time.monotonic()
            status = await self._live(child)
            if child.stopping.is_set():
                return
            child.deaths += 1
            short_lives = 0 if time.monotonic() - born > _SETTLED_SECONDS else short_lives + 1
            delay = back_off(max(0, short_lives - 1))
            self._output.say(f"{child.command.name} {_how(status)}: starting it again in {delay:.1f} s")
            try:
                await asyncio.wait_for(child.stopping.wait(), delay)
            except TimeoutError:
                continue

    async def _live(self, child: Child) -> int:
        """One life of a child, from start to end; its exit status."""
        loop = asyncio.get_running_loop()
        child.ended = loop.create_future()
        try:
            child.process, reader = self._spawn(child.command)
        except OSError as error:  # no more processes, files or memory for now
            self._output.line(child.command.name, f"cannot be started: {error}".encode())
            return _NOT_STARTED
        read_all = self._read(reader, child.command)
        self._record.started(child.command.name, child.process.pid, child.command.death_signal)
        self._reap()  # it may have ended before there was anybody to tell
        status = await asyncio.shield(child.ended)
        self._record.ended(child.command.name)
        await asyncio.wait([read_all], timeout=_LAST_WORDS_SECONDS)
        return status

    def _spawn(self, command: Command) -> tuple[subprocess.Popen[bytes], int]:
        """The new process and the file descriptor that brings what it prints."""
        reader, writer = os.pipe()
        try:
            # A session of its own: Ctrl-C in the terminal reaches only the launcher, which stops all in order.
            process = subprocess.Popen(
                command.line(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                start_new_session=True,
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return process, reader

    def _read(self, reader: int, command: Command) -> asyncio.Future[None]:
        """Pass on what the process prints; the future is done when it has printed its last."""
        loop = asyncio.get_running_loop()
        read_all = loop.create_future()
        lines = Lines(self._output, command.name, command.quiet)

        def take() -> None:
            data = os.read(reader, _READ_BYTES)
            lines.feed(data)
            if not data:
                loop.remove_reader(reader)
                os.close(reader)
                lines.finish()
                read_all.set_result(None)

        loop.add_reader(reader, take)
        return read_all

    def _reap(self) -> None:
        for child in self._children.values():
            if child.process is None or child.process.poll() is None:
                continue
            # What it had forked would go on holding its port or its shard beside the next one.
            _kill_group(child.process.pid)
            status = child.process.returncode
            child.process = None
            if child.ended is not None and not child.ended.done():
                child.ended.set_result(status)


async def _ends(child: Child, seconds: float) -> bool:
    if child.process is None:
        return True
    assert child.ended is not None
    try:
        await asyncio.wait_for(asyncio.shield(child.ended), seconds)
    except TimeoutError:
        return child.process is None
    return True


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody left; macOS says so in the second way
        pass


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    return f"was ended by a signal ({signal.strsignal(-status)})"

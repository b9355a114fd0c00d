"""A dead process is started again, always; what it prints and what it leaves behind is taken care of."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from iotplatform.launcher import leftovers, static
from iotplatform.launcher.command import Command
from iotplatform.launcher.orphans import User, wrapped
from iotplatform.launcher.output import Output
from iotplatform.launcher.rundir import RunDir
from iotplatform.launcher.supervisor import Supervisor, back_off
from tests.iotplatform.launcher.waiting import until


def supervise(tmp_path: Path, story: Callable[[Supervisor, Output], Awaitable[None]]) -> Output:
    """Run `story` with a supervisor of its own; what was printed stays in the output."""
    run_dir = RunDir(tmp_path / "run")
    with (tmp_path / "terminal").open("w") as terminal:
        output = Output(run_dir.logs, terminal)

        async def tell() -> None:
            supervisor = Supervisor(output, leftovers.ProcessRecord(run_dir), tmp_path)
            try:
                await story(supervisor, output)
            finally:
                await supervisor.stop(2.0)

        asyncio.run(tell())
        output.close()
    run_dir.close()
    return output


async def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def python(name: str, program: str) -> Command:
    return Command(name, (sys.executable, "-c", program))


def test_the_wait_before_a_new_start_grows_and_stays_under_five_seconds() -> None:
    waits = [back_off(failures) for failures in range(1000)]
    assert waits == sorted(waits)
    assert waits[0] < 0.5
    assert 3 < waits[-1] < 5


@pytest.mark.parametrize(
    "program", ["raise SystemExit(0)", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"]
)
def test_however_it_ends_it_is_started_again(tmp_path: Path, program: str) -> None:
    async def story(supervisor: Supervisor, _: Output) -> None:
        child = supervisor.start(python("short", program))
        await eventually(lambda: child.deaths >= 3)

    supervise(tmp_path, story)


def test_a_process_that_cannot_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = subprocess.Popen, 2

    def out_of_processes(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise BlockingIOError("Resource temporarily unavailable")
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", out_of_processes)

    async def story(supervisor: Supervisor, output: Output) -> None:
        child = supervisor.start(python("late", "print('here', flush=True); import time; time.sleep(60)"))
        await eventually(lambda: "here" in output.tail("late"))
        assert child.deaths == 2

    supervise(tmp_path, story)


def test_what_runs_once_tells_its_exit_code_and_its_last_words(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor, output: Output) -> None:
        assert await supervisor.run_once(python("once", "import sys; sys.exit('no such table')")) == 1
        assert "no such table" in output.tail("once")
        assert await supervisor.run_once(python("once", "pass")) == 0

    supervise(tmp_path, story)


def test_every_line_shows_under_its_name_and_stays_in_a_file(tmp_path: Path) -> None:
    async def story(supervisor: Supervisor, _: Output) -> None:
        await supervisor.run_once(python("talker", "print('one\\ntwo'); print('no end of line', end='')"))

    supervise(tmp_path, story)
    assert (tmp_path / "terminal").read_text() == "".join(
        f"talker     | {line}\n" for line in ("one", "two", "no end of line")
    )
    assert (tmp_path / "run/logs/talker.log").read_text() == "one\ntwo\nno end of line\n"


def test_log_files_are_rotated(tmp_path: Path) -> None:
    output = Output(tmp_path, (tmp_path / "terminal").open("w"))
    for _ in range(600):
        output.line("talker", b"x" * 60_000, quiet=True)
    output.close()
    sizes = [path.stat().st_size for path in tmp_path.glob("talker.log*")]
    assert len(sizes) == 4
    assert max(sizes) <= 10 << 20


def test_a_terminal_that_does_not_read_holds_nothing_up(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    output = Output(tmp_path, os.fdopen(writer, "w"))
    began = time.monotonic()
    for _ in range(30_000):
        output.line("talker", b"x" * 100)
    output.close()
    assert time.monotonic() - began < 10
    assert sum(1 for _ in (tmp_path / "talker.log").open()) == 30_000
    os.close(reader)


def test_what_a_killed_launcher_left_is_stopped_by_the_next_start(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    left = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    record = leftovers.ProcessRecord(run_dir)
    until(lambda: psutil.Process(left.pid).children(), "it has a child of its own")
    (grandchild,) = psutil.Process(left.pid).children()
    record.started("worker", left.pid, signal.SIGTERM)
    assert leftovers.clear(run_dir) == ["worker"]
    assert left.wait(1) == -signal.SIGTERM
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    assert leftovers.clear(run_dir) == []
    run_dir.close()


def test_a_stranger_that_got_the_pid_is_left_alone(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    run_dir.write("processes.json", {"worker": {"pid": stranger.pid, "started": time.time() - 3600, "signal": 9}})
    try:
        assert leftovers.clear(run_dir) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        run_dir.close()


def test_a_command_gets_its_environment_and_its_user() -> None:
    show = [sys.executable, "-c", "import os; print(os.getuid(), os.getgid(), os.getenv('PROCESS_NAME'))"]
    user = User(65534, 65534) if os.geteuid() == 0 else None
    ran = subprocess.run(wrapped(show, 0, user, {"PROCESS_NAME": "web"}), capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [*(str(part) for part in user or (os.getuid(), os.getgid())), "web"]


def test_static_files_are_collected_again_after_a_change(tmp_path: Path) -> None:
    source = tmp_path / "dashboard/static/page.css"
    source.parent.mkdir(parents=True)
    for path in (source, tmp_path / "requirements.txt"):
        path.touch()
    assert not static.is_current(tmp_path)
    static.mark_current(tmp_path)
    assert static.is_current(tmp_path)
    os.utime(source, (time.time() + 10, time.time() + 10))
    assert not static.is_current(tmp_path)

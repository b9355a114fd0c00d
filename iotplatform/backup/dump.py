"""The dump itself: `pg_dump` into a folder of files, or as one stream that is encrypted on its way to the disk."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any

from iotplatform.backup.encryption import Sealer
from iotplatform.backup.errors import BackupError
from iotplatform.backup.folder import size
from iotplatform.backup.tools import Tools, conninfo_and_environment
from iotplatform.launcher import orphans

__all__ = ["DIRECTORY", "STREAM", "dump_into", "last_words"]

#: Names of what is made, in the folder of the backup.
DIRECTORY, STREAM = "database", "database.dump.age"
#: gzip, which every build of PostgreSQL has. Beyond this level it takes much longer for little.
_COMPRESSION = "3"
_LOCK_SECONDS = 60
_STEP_SECONDS = 5.0


def dump_into(
    folder: Path,
    tools: Tools,
    info: str,
    snapshot: str,
    *,
    jobs: int,
    sealer: Sealer | None,
    meanwhile: Callable[[], Any],
    say: Callable[[str], None],
) -> Any:
    """Dump what the snapshot sees; answers what ``meanwhile`` answered, which runs beside it. Raises BackupError."""
    where, environment = conninfo_and_environment(info)
    argv = [tools.dump, f"--dbname={where}", "--no-password", f"--snapshot={snapshot}", f"--compress={_COMPRESSION}"]
    argv += [f"--lock-wait-timeout={_LOCK_SECONDS}s"]
    if sealer is None:
        argv += ["--format=directory", f"--jobs={jobs}", f"--file={folder / DIRECTORY}"]
    else:
        argv += ["--format=custom"]
    with tempfile.TemporaryFile() as errors, ThreadPoolExecutor(2) as threads:
        process = subprocess.Popen(  # noqa: S603 - our own words
            orphans.wrapped(argv, signal.SIGTERM),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if sealer else subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            other = threads.submit(meanwhile)
            work = threads.submit(_take, process, folder, sealer)
            _wait_for([work, other], folder, say)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        if process.returncode != 0:
            raise BackupError(f"pg_dump failed: {last_words(errors)}")
        return other.result()


def last_words(errors: IO[bytes]) -> str:
    """What a program complained of, without its mere warnings."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").splitlines()
    serious = [line for line in lines if "warning:" not in line and "hint:" not in line.lower()]
    return "\n".join((serious or lines)[-12:]) or "it said nothing"


def _take(process: subprocess.Popen[bytes], folder: Path, sealer: Sealer | None) -> None:
    """What the program writes, until it ends."""
    if sealer is not None:
        with (folder / STREAM).open("wb") as target:
            sealer.seal(process.stdout, target)
    process.wait()


def _wait_for(works: list[Future[Any]], folder: Path, say: Callable[[str], None]) -> None:
    """Until all are done, telling how far they are. Raises what the first of them raised."""
    left = set(works)
    while left:
        done, left = wait(left, timeout=_STEP_SECONDS, return_when="FIRST_COMPLETED")
        for work in done:
            work.result()
        if not done:
            say(f"  {size(folder) / 1e6:,.1f} MB written")

"""The files through which the processes of one platform share their metrics.

In a folder (PROMETHEUS_MULTIPROC_DIR) each process writes its own files, named after itself, and whichever process is
scraped adds them all up. Two things are added to what prometheus_client does:

- A process is known by its name, host and pid, so containers that share the folder (each with a pid 1) stay apart, and
  whether it lives is told by a lock that it holds on its ``.alive`` file, which works across containers as well.
- The files of dead processes are folded into one: their counts stay, their gauges go, and a platform whose workers are
  killed a thousand times does not read three thousand files at each scrape.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

__all__ = ["SharedMetrics", "claim", "fold_dead"]

_GONE = "gone"
#: What is left to do of folding: names of totals to put in place and of files to remove.
_PLAN = "fold.json"


class _Process:
    """This process as a writer of metrics; made anew after a fork."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.identity = ""
        self.alive: IO[bytes] | None = None

    def announce(self) -> None:
        # The file format splits names at "_" and finds the process at the end. The last part is there because a container
        # that starts again has the host name and the pid that it had: it must not go on with the gauges of the dead.
        told = f"{self.name}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.identity = re.sub(r"[^A-Za-z0-9.-]", "-", told)
        with _locked(self.folder):
            self.alive = (self.folder / f"{self.identity}.alive").open("wb")
            fcntl.flock(self.alive, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def forked(self) -> None:
        if self.alive is not None:
            self.alive.close()
        self.announce()


_process: _Process | None = None


def claim(folder: str | Path | None, name: str) -> None:
    """Let this process write its metrics into ``folder`` (made if needed) under its ``name``.

    To be called before the first metric is declared; does nothing without a folder or when called again.
    """
    global _process
    if folder is None or _process is not None:
        return
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    _process = process = _Process(path, name)
    process.announce()
    os.register_at_fork(after_in_child=process.forked)
    values.ValueClass = values.MultiProcessValue(lambda: process.identity)  # type: ignore[no-untyped-call]
    with _locked(path):
        fold_dead(path)


class SharedMetrics(Collector):
    """Collects the metrics of all processes that write into the folder."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        with _locked(self._folder):
            fold_dead(self._folder)
            files = [str(path) for path in self._folder.glob("*.db") if _has_begun(path)]
            merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
            return merged


def fold_dead(folder: Path) -> list[str]:
    """Add the counts of dead processes to the file of the gone, remove their files; answers who they were.

    The caller holds the folder's lock, so that a scrape counts nothing twice or not at all. Killed in the middle, nothing
    is either: the new totals are written beside the old ones, then a plan, and whoever comes next carries out a plan.
    """
    plan = folder / _PLAN
    if plan.exists():
        _carry_out(folder, json.loads(plan.read_text()))
    dead = [path for path in folder.glob("*.alive") if not _is_locked(path)]
    if dead:
        files = [path for alive in dead for path in folder.glob(f"*_{alive.stem}.db")]
        kinds = {path.name.split("_", 1)[0] for path in files} - {"gauge"}
        for kind in kinds:
            _write_total(folder, kind, [path for path in files if path.name.startswith(f"{kind}_")])
        steps = {"totals": sorted(kinds), "remove": [path.name for path in [*files, *dead]]}
        written = plan.with_suffix(".tmp")
        written.write_text(json.dumps(steps))
        written.rename(plan)
        _carry_out(folder, steps)
    return [path.stem for path in dead]


def _write_total(folder: Path, kind: str, sources: list[Path]) -> None:
    """The counts of the gone and of these, in a file that does not count yet."""
    new = folder / f"{kind}_{_GONE}.new"
    new.unlink(missing_ok=True)
    old = folder / f"{kind}_{_GONE}.db"
    if old.exists():
        shutil.copyfile(old, new)
    total: Any = MmapedDict(str(new))  # type: ignore[no-untyped-call]
    try:
        for source in filter(_has_begun, sources):
            found: Any = MmapedDict.read_all_values_from_file(str(source))  # type: ignore[no-untyped-call]
            for key, value, timestamp, _ in found:
                total.write_value(key, total.read_value(key)[0] + value, timestamp)
    finally:
        total.close()


def _carry_out(folder: Path, steps: Mapping[str, list[str]]) -> None:
    for kind in steps["totals"]:
        new = folder / f"{kind}_{_GONE}.new"
        if new.exists():  # else it was done before
            new.rename(folder / f"{kind}_{_GONE}.db")
    for name in steps["remove"]:
        (folder / name).unlink(missing_ok=True)
    (folder / _PLAN).unlink()


def _has_begun(path: Path) -> bool:
    """Not so for a moment while its process makes it, and for ever where that one was killed in that moment."""
    return path.stat().st_size > 0


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Not left to closing: a child that was forked meanwhile has the file open as well, and would wait for itself.
            fcntl.flock(lock, fcntl.LOCK_UN)

"""RUN_DIR: everything the platform keeps on this machine, and the lock that lets one launcher at it.

- postgres/, redis-log/, redis-cache/: data of the embedded servers
- sockets/: their Unix sockets, where the path is short enough
- logs/<name>.log: output of every process
- servers.json: URLs of the embedded servers, mode 0600
- processes.json: what runs, for the next start to clear away
- lock: held by the running launcher; its pid
"""

import fcntl
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from iotplatform.launcher.errors import LaunchError

__all__ = ["RunDir"]

# sun_path holds 104 bytes on some systems and 108 on others; servers append suffixes of their own while they bind.
_LONGEST_SOCKET_PATH = 90
_LONGEST_SOCKET_NAME = "/.s.PGSQL.5432"


class RunDir:
    """One RUN_DIR, opened: made if needed, writable, and locked until `close()`.

    Raises LaunchError where it cannot be written to or another launcher holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._sockets: Path | None = None
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
        except OSError as error:
            raise LaunchError(
                f"RUN_DIR {self.path} is not writable by {_own_name()} ({error.strerror}: {error.filename}): "
                "mend its owner or rights, or choose another one with RUN_DIR=…"
            ) from error

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def close(self) -> None:
        """Let the next launcher in."""
        self._lock.close()

    def sockets(self) -> Path:
        """The folder of the Unix sockets, mode 0700: RUN_DIR/sockets, else one outside with a shorter path."""
        if self._sockets is None:
            self._sockets = self._make_sockets()
        return self._sockets

    def _make_sockets(self) -> Path:
        folder = self.path / "sockets"
        if len(os.fsencode(f"{folder}{_LONGEST_SOCKET_NAME}")) <= _LONGEST_SOCKET_PATH:
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
        recorded = self.read("servers.json").get("socket_dir")
        if recorded and recorded != str(folder):  # still there after a crash
            shutil.rmtree(recorded, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="iot-", dir="/tmp"))  # private (mkdtemp); TMPDIR may be as deep as RUN_DIR  # nosec B108

    def remove_sockets(self) -> None:
        """After the servers have stopped: remove the folder of their sockets where it lies outside RUN_DIR."""
        folder = self._sockets
        if folder is not None and folder.parent != self.path and not any(folder.iterdir()):
            folder.rmdir()
        self._sockets = None

    def write(self, name: str, content: Mapping[str, object]) -> None:
        """Replace a JSON file in one step, readable by its owner only."""
        fresh = self.path / f"{name}.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file, indent=1)
        fresh.replace(self.path / name)

    def read(self, name: str) -> dict[str, str]:
        """A JSON file; empty where there is none, or where a crash of the machine left none that can be read."""
        try:
            content = json.loads((self.path / name).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _locked(path: Path) -> IO[str]:
    lock = (path / "lock").open("a+")  # held for as long as the launcher lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise LaunchError(
            f"the platform already runs in {path} (pid {pid}): stop it first, or choose another RUN_DIR"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"

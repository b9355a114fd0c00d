"""The embedded servers: durable, private, and back after every kind of death."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from iotplatform.launcher.errors import LaunchError
from iotplatform.launcher.orphans import User, wrapped
from iotplatform.launcher.postgres import Postgres
from iotplatform.launcher.servers import EmbeddedServers
from tests.iotplatform.launcher.waiting import until

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(tmp_path_factory.mktemp("run")) as started:
        yield started


def ask(servers: EmbeddedServers, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        cursor = connection.execute(question)
        return cursor.fetchall() if cursor.description else []


def log(servers: EmbeddedServers) -> redis.Redis:
    return redis.Redis.from_url(servers.redis_url)


def test_a_committed_row_survives_a_killed_postgres(servers: EmbeddedServers) -> None:
    ask(servers, "CREATE TABLE kept (n int)")
    ask(servers, "INSERT INTO kept VALUES (7)")
    servers.kill("postgres")
    servers.restart("postgres")
    assert ask(servers, "SELECT n FROM kept") == [(7,)]


def test_an_appended_entry_survives_a_killed_log(servers: EmbeddedServers) -> None:
    entry = log(servers).xadd("kept", {"n": 7})
    servers.kill("log")
    servers.restart("log")
    assert log(servers).xrange("kept") == [(entry, {b"n": b"7"})]


def test_a_log_file_cut_short_by_a_crash_loads_up_to_the_cut(servers: EmbeddedServers) -> None:
    log(servers).xadd("cut", {"n": 1})
    servers.kill("log")
    (file,) = (servers.data_dir("log") / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as appended:
        appended.write(b"*5\r\n$4\r\nXADD\r\n$3\r\ncu")
    servers.restart("log")
    assert log(servers).xlen("cut") == 1


def test_the_log_has_the_commands_that_the_platform_needs(servers: EmbeddedServers) -> None:
    client = log(servers)
    client.xadd("needs", {"n": 1})
    newest = client.xadd("needs", {"n": 2})
    client.xgroup_create("needs", "readers", id="0")
    client.xreadgroup("readers", "first", {"needs": ">"})
    assert len(client.xautoclaim("needs", "readers", "second", 0)[1]) == 2
    client.xtrim("needs", minid=newest, approximate=False)
    assert client.eval("return redis.call('XLEN', KEYS[1])", 1, "needs") == 1


def test_what_the_log_answers_is_on_disk_and_never_evicted(servers: EmbeddedServers) -> None:
    settings = log(servers).config_get("*")
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
        "maxmemory": str(1 << 30),
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_the_cache_forgets_and_the_log_is_another_server(servers: EmbeddedServers) -> None:
    cache = redis.Redis.from_url(servers.cache_url)
    cache.set("forgotten", 1)
    assert log(servers).get("forgotten") is None
    assert cache.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
    servers.kill("cache")
    servers.restart("cache")
    assert cache.get("forgotten") is None


def test_postgres_says_stored_only_when_it_is_on_disk(servers: EmbeddedServers) -> None:
    wanted = {"fsync", "synchronous_commit", "full_page_writes"}
    answers = ask(servers, f"SELECT name, setting FROM pg_settings WHERE name IN {tuple(wanted)}")
    assert dict(answers) == dict.fromkeys(wanted, "on")


def test_no_server_listens_on_the_network(servers: EmbeddedServers) -> None:
    for name in ("postgres", "log", "cache"):
        assert psutil.Process(servers.pid(name)).net_connections("inet") == []


def test_a_server_restarted_by_a_thread_outlives_that_thread(servers: EmbeddedServers) -> None:
    thread = threading.Thread(target=servers.restart, args=["cache"])
    thread.start()
    thread.join()
    cache = redis.Redis.from_url(servers.cache_url)
    until_then = time.monotonic() + 0.5  # it would take some milliseconds to go
    while time.monotonic() < until_then:
        assert cache.ping()


def test_postgres_starts_though_its_old_pid_belongs_to_another_program_now(servers: EmbeddedServers) -> None:
    servers.kill("postgres")
    until(lambda: not postgres_processes(servers), "the killed server's processes are gone")
    lock = servers.data_dir("postgres") / "postmaster.pid"
    owner = servers.data_dir("postgres").stat()
    user = User(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None
    stranger = subprocess.Popen(wrapped(["sleep", "60"], signal.SIGKILL, user))
    try:
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(stranger.pid), 1))
        servers.restart("postgres")
        assert ask(servers, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def postgres_processes(servers: EmbeddedServers) -> list[int]:
    home = str(servers.data_dir("postgres"))
    return [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == home]


def test_a_copy_of_the_data_put_back_is_what_the_server_has(servers: EmbeddedServers, tmp_path: Path) -> None:
    ask(servers, "CREATE TABLE rewound (n int)")
    data = servers.data_dir("postgres")
    servers.stop("postgres")
    shutil.copytree(data, tmp_path / "copy")
    servers.restart("postgres")
    ask(servers, "INSERT INTO rewound VALUES (1)")
    servers.stop("postgres")
    shutil.rmtree(data)
    shutil.move(tmp_path / "copy", data)
    servers.restart("postgres")
    assert ask(servers, "SELECT n FROM rewound") == []


def test_two_owners_of_one_directory_are_refused(servers: EmbeddedServers) -> None:
    with pytest.raises(LaunchError, match=f"already runs .*{os.getpid()}"):
        EmbeddedServers(servers.data_dir("postgres").parent).start()


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path / ("long" * 25), postgres=False, log=False) as servers:
        socket = Path(servers.cache_url.removeprefix("unix://").partition("?")[0])
        assert redis.Redis.from_url(servers.cache_url).ping()
        assert len(str(socket)) <= 90
        assert socket.parent.stat().st_mode & 0o077 == 0
    assert not socket.parent.exists()


def test_data_of_another_major_version_is_left_alone_and_named(tmp_path: Path) -> None:
    data = tmp_path / "postgres"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(LaunchError, match=r"made by PostgreSQL 16.*brings PostgreSQL 18"):
        Postgres(data, tmp_path).prepare()
    assert (data / "PG_VERSION").read_text() == "16\n"


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path, postgres=False, cache=False)
    folder = servers.data_dir("log") / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(LaunchError, match=r"(?s)log ended.*manifest"):
        servers.start()


def test_an_ordinary_user_can_run_them(tmp_path: Path) -> None:
    """Run as somebody else where the suite runs as root, which is covered by all the other tests then."""
    line = [sys.executable, "-c", ORDINARY_USER, str(tmp_path / "run")]
    user = None
    if os.geteuid() == 0:
        user = User(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
        os.chown(tmp_path, *user)
    ran = subprocess.run(
        wrapped(line, 0, user, {"PYTHONPATH": str(PROJECT)}), capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.stdout, ran.returncode) == ("ordinary user, 1 row\n", 0), ran.stderr


ORDINARY_USER = """
import os, sys
from pathlib import Path
import psycopg, redis
from iotplatform.launcher.servers import EmbeddedServers

assert os.geteuid() != 0
with EmbeddedServers(Path(sys.argv[1])) as servers:
    redis.Redis.from_url(servers.redis_url).xadd("stream", {"n": 1})
    with psycopg.connect(servers.database_url) as connection:
        print("ordinary user,", len(connection.execute("SELECT 1").fetchall()), "row")
"""

"""Appends from an event loop: whatever happens to the connection, each is answered for itself, and the next one goes on."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import re
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import OperationalError, connection

from telemetry.log import redis_streams
from telemetry.log.breaker import Breaker
from telemetry.log.entries import START, Append, Appended, LogDown
from telemetry.log.loop_commit import LoopCommit
from telemetry.log.redis_streams import RedisLog
from tests.faults.proxy import FaultProxy
from tests.loop_driver import LoopDriver, on_loop
from tests.servers import servers


@pytest.fixture
def log(redis_client: redis.Redis) -> LoopDriver:
    return LoopDriver(settings.SERVERS["redis_url"], 1.0)


@pytest.fixture
def proxy(redis_client: redis.Redis) -> Iterator[FaultProxy]:
    path = Path(re.sub(r"\?.*", "", settings.SERVERS["redis_url"].removeprefix("unix://")))
    with FaultProxy(path) as proxy:
        yield proxy


def through(proxy: FaultProxy, timeout: float = 1.0) -> LoopDriver:
    return LoopDriver(f"redis://127.0.0.1:{proxy.port}/0", timeout)


def append(log: LoopDriver, payload: bytes) -> Appended:
    (answer,) = log.append([Append([(0, payload)])])
    assert isinstance(answer, Appended)
    return answer


def stored() -> list[bytes]:
    entries = RedisLog(settings.SERVERS["redis_url"], 3.0).read(0, START, 1 << 30).entries
    return [entry.payload for entry in entries]


def test_many_requests_at_once_each_get_the_ids_of_their_own_entries(log: LoopDriver) -> None:
    async def work() -> list[Appended]:
        commit = LoopCommit(log.append_on_loop, Breaker(None))  # type: ignore[arg-type]
        return await asyncio.gather(*[commit.append(Append([(0, b"%d" % number)])) for number in range(2_000)])

    answers = on_loop(work())
    found = {entry.id: entry.payload for entry in log.read(0, START, 1 << 30).entries}
    assert [found[answer.ids[0]] for answer in answers] == [b"%d" % number for number in range(2_000)]


def test_an_append_larger_than_what_a_socket_holds_goes_whole(log: LoopDriver) -> None:
    payloads = [bytes([number]) * 9_000_000 for number in (1, 2)]
    for payload in payloads:
        append(log, payload)
    assert stored() == payloads


def test_the_first_append_after_a_restart_belongs_to_the_new_run(log: LoopDriver) -> None:
    before = append(log, b"first")
    servers().restart("log")
    after = append(log, b"second")
    assert after.segment != before.segment
    assert stored() == [b"first", b"second"]


def test_a_restart_that_the_loop_had_no_time_to_see_costs_nobody_an_answer(log: LoopDriver) -> None:
    append(log, b"first")

    async def restart_and_append() -> None:
        servers().restart("log")  # the loop waits
        await log.append_on_loop([Append([(0, b"second")])])

    on_loop(restart_and_append())
    assert stored() == [b"first", b"second"]


def test_a_log_that_was_emptied_or_forgot_its_scripts_is_met_anew(log: LoopDriver, redis_client: redis.Redis) -> None:
    before = append(log, b"a")
    redis_client.script_flush()
    append(log, b"b")
    assert stored() == [b"a", b"b"]
    redis_client.flushall()
    assert append(log, b"c").segment != before.segment
    assert stored() == [b"c"]


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones(
    log: LoopDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_streams, "_LOOK_AT_MEMORY_SECONDS", 60.0)  # the next one is sent before that is known
    append(log, b"a")
    server = servers().pid("log")
    os.kill(server, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(LogDown, match="within 1 s"):
            append(log, b"b")
        assert time.monotonic() - began < 3
        answer = on_loop(_go_on(log, server))
    finally:
        os.kill(server, signal.SIGCONT)
    found = {entry.id: entry.payload for entry in log.read(0, START, 1 << 20).entries}
    assert found[answer.ids[0]] == b"c"


async def _go_on(log: LoopDriver, server: int) -> Appended:
    """The next append is sent, and only then is the one before answered."""
    waiting = asyncio.ensure_future(log.append_on_loop([Append([(0, b"c")])]))
    await asyncio.sleep(0)
    os.kill(server, signal.SIGCONT)
    (answer,) = await waiting
    assert isinstance(answer, Appended)
    return answer


def test_an_answer_that_came_while_the_loop_stood_still_counts(log: LoopDriver) -> None:
    append(log, b"a")
    log.timeout = 0.2

    async def stand_still() -> Appended:
        waiting = asyncio.ensure_future(log.append_on_loop([Append([(0, b"b")])]))
        await asyncio.sleep(0)
        time.sleep(0.4)  # as a machine that was suspended
        (answer,) = await waiting
        assert isinstance(answer, Appended)
        return answer

    on_loop(stand_still())
    assert stored() == [b"a", b"b"]


@pytest.mark.django_db(transaction=True)
def test_a_run_of_the_server_that_could_not_be_registered_is_registered_once_the_database_is_back(
    redis_client: redis.Redis,
) -> None:
    registered: list[str] = []

    def register(segment: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not registered:
            registered.append("")
            connection.connection.close()  # as a server that went away: Django does not look again by itself
            raise OperationalError("gone")
        registered.append(segment)

    log = LoopDriver(settings.SERVERS["redis_url"], 1.0, on_segment=register)
    with pytest.raises(OperationalError):
        append(log, b"a")
    assert append(log, b"b").segment == registered[-1]
    assert stored() == [b"b"]


def test_nobody_waits_for_a_request_that_was_given_up(log: LoopDriver) -> None:
    append(log, b"a")
    server = servers().pid("log")

    async def give_up() -> None:
        waiting = asyncio.ensure_future(log.append_on_loop([Append([(0, b"b")])]))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    os.kill(server, signal.SIGSTOP)
    try:
        on_loop(give_up())
    finally:
        os.kill(server, signal.SIGCONT)
    answer = append(log, b"c")
    found = {entry.id: entry.payload for entry in log.read(0, START, 1 << 20).entries}
    assert found[answer.ids[0]] == b"c"


def test_a_connection_that_breaks_within_an_append_is_told_and_the_next_one_is_new(proxy: FaultProxy) -> None:
    log = through(proxy, timeout=20.0)
    append(log, b"a")
    proxy.hold("down")

    async def cut() -> None:
        waiting = asyncio.ensure_future(log.append_on_loop([Append([(0, b"b")])]))
        while b"b" not in await asyncio.to_thread(stored):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(proxy.cut)
        await waiting

    began = time.monotonic()
    with pytest.raises(LogDown):
        on_loop(cut())
    assert time.monotonic() - began < 10, "not only when its time is up"
    with pytest.raises(LogDown):
        append(log, b"refused")
    proxy.pass_on()
    append(log, b"c")
    assert stored() == [b"a", b"b", b"c"]


def test_a_connection_that_was_lost_while_idle_costs_nobody_an_answer(proxy: FaultProxy) -> None:
    log = through(proxy)
    append(log, b"a")
    proxy.cut()
    proxy.pass_on()
    append(log, b"b")
    assert stored() == [b"a", b"b"]


def test_an_append_comes_through_a_slow_network(proxy: FaultProxy) -> None:
    log = through(proxy)
    proxy.slow(rate=4_000_000)
    payload = os.urandom(1_500_000)
    append(log, payload)
    assert stored() == [payload]


def test_appends_go_over_tls(redis_client: redis.Redis, tmp_path: Path) -> None:
    path = Path(re.sub(r"\?.*", "", settings.SERVERS["redis_url"].removeprefix("unix://")))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(_certificate(tmp_path))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer), return_exceptions=True)

    server = on_loop(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))  # type: ignore[arg-type]
    port = server.sockets[0].getsockname()[1]
    log = LoopDriver(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / 'server.pem'}", 3.0)
    payloads = [b"small", os.urandom(5_000_000), b"small again"]
    for payload in payloads:
        append(log, payload)
    assert stored() == payloads
    server.close()


def _certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "log")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path

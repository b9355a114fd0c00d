"""The log on Redis Streams, one stream a shard. Only here is the log server spoken to about readings.

The server keeps an append-only file that is synced before it answers, and never evicts, so an entry that was answered
survives its crash. A *generation* is a random id made together with the log; a *segment* is one run of the log server
within it. Every entry carries its segment, so that a log set back to an older copy is told from one that went on.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from telemetry.log import keys
from telemetry.log.entries import (
    START,
    Append,
    Appended,
    Entry,
    LayoutChanged,
    LogDown,
    LogError,
    LogFull,
    Reading,
    TooManyIdempotencyKeys,
)

#: What a LogDown says where no append found the log that it was meant for.
REPLACED = "the log was replaced again and again"
#: Takes what `RedisLog.append_arguments` makes, answers what `RedisLog.append_answers` reads.
APPEND = (Path(__file__).parent / "append.lua").read_text()
#: The first look takes few entries, for each may be megabytes; the next ones as many as fit by their mean size. It takes
#: more where the last reading found more, so that one look is mostly all.
_FIRST_LOOK, _MOST_FIRST_LOOK = 16, 40
_ENTRIES_A_LOOK = 2000
#: Appends stop before the server's memory is full: it would then refuse the drains' messages and trims as well.
_MEMORY_SHARE = 0.9
_LOOK_AT_MEMORY_SECONDS = 0.25

# Work of drains must go on while the memory is full: it is what frees it.
_TRIM = """#!lua flags=allow-oom
redis.call('HSET', KEYS[2], 'out', ARGV[1])
if ARGV[2] ~= '' then
    redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
    redis.call('HSET', KEYS[2], 'trimmed', ARGV[2])
end
for at = 4, #ARGV do redis.call('HDEL', KEYS[3], ARGV[at]) end
"""
_BEGIN_ATTEMPT = """#!lua flags=allow-oom
redis.call('EXPIRE', KEYS[1], 86400)
return {redis.call('HINCRBY', KEYS[1], ARGV[1], 1), redis.call('HGET', KEYS[1], 'singly_upto') or '0-0'}
"""
_WITHDRAW_ATTEMPT = """#!lua flags=allow-oom
for _, subject in ipairs(ARGV) do
    -- Another drain may have succeeded meanwhile, and forgotten the subject.
    if redis.call('HINCRBY', KEYS[1], subject, -1) <= 0 then redis.call('HDEL', KEYS[1], subject) end
end
"""
_TAKE_SINGLY = """#!lua flags=allow-oom
redis.call('HSET', KEYS[1], 'singly_upto', ARGV[1])
"""
_ANNOUNCE = """#!lua flags=allow-oom
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
"""
T = TypeVar("T")


class _HungUp(redis.exceptions.ConnectionError):
    """The connection was lost before anything was sent."""


def connect(url: str, timeout: float) -> redis.Redis:
    """A client of one connection that never tries again by itself: who calls must know when the server was lost."""
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    options["redis_connect_func"] = _once()
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)


def _once() -> Callable[[Any], None]:
    """Connects, but not again: the client would do so without a word, and then it may be another server."""
    connected = threading.Event()

    def on_connect(connection: Any) -> None:
        if connected.is_set():
            raise _HungUp("the log server hung up")
        connected.set()
        connection.on_connect()

    return on_connect


@dataclass(frozen=True, slots=True)
class Introduced:
    """A client of one connection, and which log and which run of the server it speaks to."""

    client: redis.Redis
    generation: str
    segment: str


class RedisLog:
    """One connection to the log, used by one caller at a time (calls of several threads wait for each other).

    Every method raises LogDown where the server does not answer within ``timeout`` seconds.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        *,
        epoch: int = 1,
        most_bytes: int = 1 << 29,
        idempotency_seconds: int = 86_400,
        most_idempotency_keys: int = 1_000_000,
        on_segment: Callable[[str], None] | None = None,
    ) -> None:
        self._url = url
        self.timeout = timeout
        self._most_bytes = most_bytes
        self._idempotency = (idempotency_seconds, most_idempotency_keys)
        self._on_segment = on_segment
        self._lock = threading.RLock()
        self._client: redis.Redis | None = None
        self._script: Any = None
        self._memory_taken = 0.0
        self._look_at_memory_at = 0.0
        self._registered = ""
        self._first_looks: dict[int, int] = {}
        self.epoch = epoch
        self.generation = ""
        self.segment = ""

    # --- the verbs ----------------------------------------------------------------------------------------------

    def append(self, requests: list[Append]) -> list[Appended | LogError]:
        """Append whole requests in one round trip; an answer or an error for each, in their order.

        When this returns, what was appended is on disk. Raises LayoutChanged where the epoch is not the log's.
        """
        for _ in range(2):
            answers = self._asking(lambda: self._append_once(requests))
            if answers is not None:
                return answers
            # The log was replaced while we were connected to it: learn its new name, then once more.
            self.close()
        raise LogDown(REPLACED)

    def read(self, shard: int, after: str, most_bytes: int) -> Reading:
        """Entries after an id, until about ``most_bytes`` or the end, with what the log says of itself."""
        return self._asking(lambda: self._read(shard, after, most_bytes))

    def trim(self, shard: int, upto: str | None, offset: int, attempted: Sequence[str] = ()) -> None:
        """Remove the entries up to that id, if one is given; ``offset`` counts the shard's bytes that are stored.

        Work on the subjects ``attempted`` succeeded, as `forget_attempts` says it.
        """
        milliseconds, _, sequence = (upto or START).partition("-")
        arguments = (str(offset), upto or "", f"{milliseconds}-{int(sequence) + 1}", *attempted)
        names = (keys.stream(shard), keys.meta(shard), keys.attempts(shard))
        self._asking(lambda: self._connected().eval(_TRIM, len(names), *names, *arguments))

    def length(self, shard: int) -> int:
        """Entries in the shard, stored ones that are still kept included."""
        return int(self._asking(lambda: self._connected().xlen(keys.stream(shard))))

    def memory_taken(self) -> float:
        """The share of the server's memory that is taken, as of some moments ago; 0 where it has no limit."""
        return self._asking(lambda: self._look_at_memory(self._connected()))

    # --- what else is kept beside the entries --------------------------------------------------------------------

    def begin_attempt(self, shard: int, subject: str) -> tuple[int, str]:
        """Count, durably, that work on a subject (a position, or one entry) begins.

        Answers how often that was by now, and the id up to which entries are taken one by one (START: none).
        """
        answer: Any = self._asking(lambda: self._connected().eval(_BEGIN_ATTEMPT, 1, keys.attempts(shard), subject))
        return int(answer[0]), answer[1].decode()

    def withdraw_attempt(self, shard: int, *subjects: str) -> None:
        """That work did not begin after all."""
        self._asking(lambda: self._connected().eval(_WITHDRAW_ATTEMPT, 1, keys.attempts(shard), *subjects))

    def forget_attempts(self, shard: int, *subjects: str) -> None:
        """That work succeeded, or its failure was nobody's fault here."""
        self._asking(lambda: self._connected().hdel(keys.attempts(shard), *subjects))

    def take_singly(self, shard: int, upto: str) -> None:
        """From now on take entries one by one, up to that one, to find the one at fault."""
        self._asking(lambda: self._connected().eval(_TAKE_SINGLY, 1, keys.attempts(shard), upto))

    def announce(self, shard: int, worker: str, seconds: int) -> None:
        """No drain waits for this shard any more, and the worker of that name lives, for so many seconds."""
        names, now = (keys.drain_flag(shard), keys.worker(worker)), int(time.time())
        self._asking(lambda: self._connected().eval(_ANNOUNCE, 2, *names, now, seconds))

    def call(self, use: Callable[[redis.Redis], T]) -> T:
        """Use the client for something small beside the log (flags, heartbeats, last seen)."""
        return self._asking(lambda: use(self._connected()))

    def close(self) -> None:
        """Forget the connection; the next call makes a new one and looks again which log it is."""
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    # --- for who speaks to the server by itself ------------------------------------------------------------------

    def introduced(self) -> Introduced:
        """A connection besides this one's own, to the log that is there now; its segment is registered."""
        try:
            client = connect(self._url, self.timeout)
            if client.exists(keys.GENERATION, keys.EPOCH) < 2:
                client.set(keys.GENERATION, secrets.token_hex(8), nx=True)
                client.set(keys.EPOCH, self.epoch, nx=True)
            pipe = client.pipeline(transaction=True)
            pipe.get(keys.GENERATION)
            pipe.info("server")
            generation, server = pipe.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            raise LogDown(f"the log server does not answer: {error}") from error
        if generation is None:
            raise LogDown("the log is being emptied")
        segment = f"{generation.decode()}.{server['run_id'][:12]}"
        if self._on_segment is not None and segment != self._registered:
            self._on_segment(segment)
            self._registered = segment
        return Introduced(client, generation.decode(), segment)

    def append_arguments(self, requests: list[Append], generation: str, segment: str) -> list[Any]:
        """What APPEND takes to append these to that log."""
        seconds, most_keys = self._idempotency
        arguments: list[Any] = [
            *(generation, self.epoch, segment, self._most_bytes),
            *(seconds, most_keys, int(time.time()) // 3600, len(requests)),
        ]
        for request in requests:
            arguments += [len(request.entries), request.idempotency_key, request.note]
            for shard, payload in request.entries:
                arguments += [shard, payload]
        return arguments

    def append_answers(self, replies: list[Any], segment: str) -> list[Appended | LogError] | None:
        """What APPEND's reply says of each request; None where the log was replaced. Raises LayoutChanged."""
        if replies[0] == b"generation":
            return None
        if replies[0] == b"layout":
            raise LayoutChanged(f"the log has another layout epoch than {self.epoch}")
        return [_answer(reply, segment) for reply in replies]

    @property
    def known_memory_taken(self) -> float | None:
        """As `memory_taken`, without asking the server; None where it has to be asked again."""
        return self._memory_taken if time.monotonic() < self._look_at_memory_at else None

    # --- inside -------------------------------------------------------------------------------------------------

    def _asking(self, ask: Callable[[], T]) -> T:
        with self._lock:
            try:
                try:
                    return ask()
                except _HungUp:
                    # An idle connection whose server went away: begin again with the one that is there now.
                    self.close()
                    return ask()
            except redis.exceptions.OutOfMemoryError as error:
                raise LogFull("the log server's memory is full") from error
            except (redis.exceptions.RedisError, OSError) as error:
                # After any error the connection may be another server's: its segment must be asked for again.
                self.close()
                if "OOM" in str(error):
                    raise LogFull("the log server's memory is full") from error
                raise LogDown(f"the log server does not answer: {error}") from error

    def _connected(self) -> redis.Redis:
        with self._lock:
            if self._client is not None:
                return self._client
            found = self.introduced()
            self.generation, self.segment = found.generation, found.segment
            self._script = found.client.register_script(APPEND)
            self._client = found.client
            return found.client

    def _look_at_memory(self, client: redis.Redis) -> float:
        if (now := time.monotonic()) >= self._look_at_memory_at:
            memory = client.info("memory")
            self._memory_taken = memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else 0.0
            self._look_at_memory_at = now + _LOOK_AT_MEMORY_SECONDS
        return self._memory_taken

    def _append_once(self, requests: list[Append]) -> list[Appended | LogError] | None:
        require_memory(self._look_at_memory(self._connected()))
        replies = self._script(args=self.append_arguments(requests, self.generation, self.segment))
        return self.append_answers(replies, self.segment)

    def _read(self, shard: int, after: str, most_bytes: int) -> Reading:
        client = self._connected()
        look = self._first_looks.get(shard, _FIRST_LOOK)
        # Of one moment: a log that is emptied in between must not look like this one without entries.
        pipe = client.pipeline(transaction=True)
        pipe.get(keys.GENERATION)
        pipe.xinfo_stream(keys.stream(shard))  # an error where nothing was ever appended
        pipe.hget(keys.meta(shard), "trimmed")
        pipe.xrange(keys.stream(shard), f"({after}", "+", count=look)
        generation, stream, trimmed, found = pipe.execute(raise_on_error=False)
        for answer in (generation, trimmed, found):
            if isinstance(answer, redis.exceptions.RedisError):
                raise answer
        if generation is None or generation.decode() != self.generation:
            self.close()
            return self._read(shard, after, most_bytes)
        if isinstance(stream, redis.exceptions.RedisError) and "no such key" not in str(stream):
            raise stream
        last_id = START if isinstance(stream, redis.exceptions.RedisError) else stream["last-generated-id"].decode()
        entries: list[Entry] = []
        size = 0
        while True:
            for entry_id, fields in found:
                entry = Entry(
                    entry_id.decode(), fields.get(b"s", b"").decode(), int(fields.get(b"o", 0)), fields.get(b"p", b"")
                )
                entries.append(entry)
                size += len(entry.payload)
            complete = len(found) < look
            if complete or size >= most_bytes:
                break
            look = min(_ENTRIES_A_LOOK, 1 + (most_bytes - size) * len(entries) // max(1, size))
            found = client.xrange(keys.stream(shard), f"({entries[-1].id}", "+", count=look)
        likely = min(len(entries) * 5 // 4, most_bytes * len(entries) // max(1, size))
        self._first_looks[shard] = max(_FIRST_LOOK, min(_MOST_FIRST_LOOK, likely))
        return Reading(self.generation, self.segment, last_id, (trimmed or START.encode()).decode(), entries, complete)


def require_memory(taken: float) -> None:
    """Raises LogFull where so large a share of the server's memory is taken that appends stop."""
    if taken > _MEMORY_SHARE:
        raise LogFull("the log server's memory is nearly full")


def _answer(reply: list[bytes], segment: str) -> Appended | LogError:
    kind = reply[0]
    if kind == b"ok":
        wake = tuple(map(int, reply[1].split()))
        return Appended(segment, [entry_id.decode() for entry_id in reply[2:]], wake=wake)
    if kind == b"repeated":
        segment, ids, note = reply[1].decode().split("\n", 2)
        return Appended(segment, ids.split(",") if ids else [], note)
    if kind == b"full":
        return LogFull("more readings wait to be stored than the log may hold")
    return TooManyIdempotencyKeys("too many idempotency keys this hour")

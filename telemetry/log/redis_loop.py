"""Appends to the log from an event loop, which reads the answer when it is there: no thread sends or waits.

Handing each append to a thread and back cost a tenth of all the work of a web process. A thread connects, and looks at the
server's memory now and then; a round trip is written and read on the loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import hiredis
import redis
from django.db import connection as database

from telemetry.log.entries import Append, Appended, LogDown, LogError, LogFull
from telemetry.log.redis_streams import APPEND, REPLACED, Introduced, RedisLog, require_memory

_WOULD_WAIT = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ_BYTES = 1 << 16


class _HungUp(Exception):
    """The connection was lost before anything was sent."""


class LoopLog:
    """Of one event loop, and called there only, by one caller at a time; what it appends is what ``log`` would.

    It has a connection of its own, for ``log`` is used by threads.
    """

    def __init__(self, log: RedisLog) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "log-connect")
        self._link: _Link | None = None

    async def append(self, requests: list[Append]) -> list[Appended | LogError]:
        """As RedisLog.append."""
        taken = self._log.known_memory_taken
        if taken is None:
            taken = await self._loop.run_in_executor(self._thread, self._memory_taken)
        require_memory(taken)
        for _ in range(3):
            try:
                link = self._link or await self._connect()
                answers = await self._ask(link, requests)
            except _HungUp:
                # An idle connection whose server went away: begin again with the one that is there now.
                answers = None
            if answers is not None:
                return answers
            self.close()
        raise LogDown(REPLACED)

    def close(self) -> None:
        """Hang up; the next call connects again and looks which log it is."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    async def _ask(self, link: _Link, requests: list[Append]) -> list[Appended | LogError] | None:
        """None where nothing was appended, for it is another log, or does not know the script any more."""
        arguments = self._log.append_arguments(requests, link.log.generation, link.log.segment)
        try:
            reply = await link.ask(hiredis.pack_command(("EVALSHA", link.script, 0, *arguments)), self._log.timeout)
        except TimeoutError:
            self.close()
            raise LogDown(f"the log server did not answer within {self._log.timeout:g} s") from None
        except OSError as error:
            # It may have appended, or not.
            self.close()
            raise LogDown(f"the log server does not answer: {error}") from error
        except asyncio.CancelledError:
            self.close()  # an answer that comes now would be taken for the next one's
            raise
        if isinstance(reply, Exception):
            text = str(reply)
            if text.startswith("NOSCRIPT"):
                return None
            if "OOM" in text:
                raise LogFull("the log server's memory is full")
            self.close()
            raise LogDown(f"the log server does not answer: {text}")
        return self._log.append_answers(reply, link.log.segment)

    def _memory_taken(self) -> float:
        """In a thread, as `_connected`: this may be what finds a server that was started anew."""
        try:
            return self._log.memory_taken()
        finally:
            database.close()

    async def _connect(self) -> _Link:
        self._link = await self._loop.run_in_executor(self._thread, self._connected)
        self._link.listen()
        return self._link

    def _connected(self) -> _Link:
        """In a thread, for it waits for the server, and for the database where the server was started anew."""
        try:
            found = self._log.introduced()
            script = found.client.script_load(APPEND)
            connection: Any = found.client.connection_pool.get_connection()
            return _Link(self._loop, found, connection._get_socket(), script)
        except (redis.exceptions.RedisError, OSError) as error:
            raise LogDown(f"the log server does not answer: {error}") from error
        finally:
            database.close()  # this thread serves no request, and one that broke would stay broken


@dataclass(eq=False)
class _Link:
    """A connection to the log server that an event loop writes and reads. One question at a time."""

    loop: asyncio.AbstractEventLoop
    #: Of the client that connected it, with TLS, password and protocol as the address says, and that hangs up.
    log: Introduced
    socket: socket.socket
    script: str

    def __post_init__(self) -> None:
        self.socket.setblocking(False)
        self._file = self.socket.fileno()
        self._reader = hiredis.Reader()
        self._answer: asyncio.Future[Any] | None = None
        self._unsent = memoryview(b"")
        self._lost: OSError | None = None

    def listen(self) -> None:
        """From now on the loop reads it."""
        self.loop.add_reader(self._file, self._read)

    async def ask(self, command: bytes, seconds: float) -> Any:
        """The reply; an error reply is returned, not raised. Raises _HungUp, TimeoutError or another OSError: whoever asked
        must close then, as when he is cancelled, for the answer may still come."""
        self._read()
        if self._lost is not None:
            raise _HungUp
        answer = self._answer = self.loop.create_future()
        self._unsent = memoryview(command)
        self._write()
        if self._unsent and self._lost is None:
            self.loop.add_writer(self._file, self._write)
        try:
            await asyncio.wait((answer,), timeout=seconds)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not answer.done():
            self._read()  # where this process stood still meanwhile, its time is up and the answer is there
        if not answer.done():
            answer.cancel()
            raise TimeoutError
        return answer.result()

    def close(self) -> None:
        """Hang up; who waits is told."""
        self._lose(ConnectionAbortedError("hung up"))
        self.log.client.close()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except _WOULD_WAIT:
            return
        except OSError as error:
            self._lose(error)
            return
        self.loop.remove_writer(self._file)

    def _read(self) -> None:
        """Whatever is there. (A TLS record is shorter than what is taken at a time: none of it stays behind unseen.)"""
        lost: OSError | None = None
        try:
            while data := self.socket.recv(_READ_BYTES):
                self._reader.feed(data)
                if len(data) < _READ_BYTES:
                    break
            else:
                lost = ConnectionResetError("the log server hung up")
        except _WOULD_WAIT:
            pass
        except OSError as error:
            lost = error
        # What came before the end counts.
        try:
            while (reply := self._reader.gets()) is not False:
                self._hear(reply)
        except hiredis.ProtocolError as error:
            lost = OSError(f"not understood: {error}")
        if lost is not None:
            self._lose(lost)

    def _hear(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            return  # of the server's own accord
        answer, self._answer = self._answer, None
        if answer is None:
            self._lose(OSError("an answer that nobody asked for"))
        elif not answer.done():
            answer.set_result(reply)

    def _lose(self, error: OSError) -> None:
        if self._lost is None:
            self._lost = error
            self.loop.remove_reader(self._file)
            self.loop.remove_writer(self._file)
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(self._lost)

"""A network that breaks on demand: a TCP port of this machine whose every byte goes on to a server, or does not.

with FaultProxy(Path("/run/postgres/.s.PGSQL.5432")) as proxy:
    connect(port=proxy.port)
    proxy.cut()      # every connection is reset, and so is every new one …
    proxy.pass_on()  # … until all is well again
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, Self

__all__ = ["FaultProxy"]

Direction = Literal["up", "down"]
_BOTH: tuple[Direction, ...] = ("up", "down")
_CHUNK = 16_384
_CALL_SECONDS = 10.0
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h
#: Keepalive towards clients, as of the embedded database: first probe after 10 s, then every 3 s, three times.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 3), (socket.TCP_KEEPCNT, 3))
#: Classic BPF: return 0, which is to drop the packet (linux/filter.h).
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)
_drop = ctypes.create_string_buffer(_DROP, len(_DROP))


class FaultProxy:
    """Listens on 127.0.0.1; ``target`` is a Unix socket, or a port of this machine. A context manager.

    "up" is from the client to the server, "down" back. All methods may be called from any thread; they return when what
    they say is so, for connections that are there and, but for `forsake` and `lose_answer`, for those to come.
    """

    def __init__(self, target: Path | int) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._refusing = False
        self._silent = False
        self._held: tuple[Direction, ...] = ()
        self._free_at = dict.fromkeys(_BOTH, 0.0)
        self.delay = 0.0
        self.rate = 0.0
        #: Bytes that went on, by direction.
        self.passed: Counter[Direction] = Counter()
        #: Connections ever made, and those that were reset.
        self.connections = 0
        self.resets = 0
        self.answers_lost = 0
        self._lose: tuple[bytes, bytes, int] = (b"", b"", 0)
        self.port = 0

    # --- faults -----------------------------------------------------------------------------------------------------

    def pass_on(self) -> None:
        """All is well: what was held back goes on, as after a cable was pulled for a while."""
        self._call(self._pass_on)

    def cut(self) -> None:
        """Reset every connection, and every new one at once."""

        def cut() -> None:
            self._refusing = True
            for link in list(self._links):
                link.reset()

        self._call(cut)

    def silence(self) -> None:
        """The cable is pulled: no packet is answered, not even by the kernel; no new connection comes about."""

        def silence() -> None:
            self._silent = True
            self._filter_listeners()
            for link in self._links:
                link.silence()

        self._call(silence)

    def hold(self, *directions: Direction) -> None:
        """Whatever stands between takes everything and passes nothing on; kernels still answer each other."""

        def hold() -> None:
            self._held = directions or _BOTH
            for link in self._links:
                link.hold(self._held)

        self._call(hold)

    def forsake(self, *, answering: bool = False) -> None:
        """Connections that are there are forgotten by what stands between (a firewall restarted): they are silent for
        good, new ones pass. ``answering``: kernels still answer each other, so that no keepalive ever finds out."""

        def forsake() -> None:
            for link in self._links:
                link.forsaken = True
                if answering:
                    link.hold(_BOTH)
                else:
                    link.silence()

        self._call(forsake)

    def slow(self, delay: float = 0.0, rate: float = 0.0) -> None:
        """Every chunk takes ``delay`` s more; all connections together pass ``rate`` bytes/s each way (0: no limit)."""
        self.delay, self.rate = delay, rate

    def lose_answer(self, request: bytes, answer: bytes, times: int = 1) -> None:
        """The next so many answers that have ``answer`` in them, after a request with ``request`` in it, are lost: the
        server did it, and the client's connection is reset instead."""
        self._lose = (request, answer, times)

    # --- start and stop ---------------------------------------------------------------------------------------------

    def start(self) -> Self:
        self._thread.start()
        self._wait(self._listen())
        return self

    def close(self) -> None:
        """Reset everything and listen no more."""
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _call(self, work: Callable[[], None]) -> None:
        async def call() -> None:
            work()

        self._wait(call())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self._links):
            link.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _pass_on(self) -> None:
        self._refusing = self._silent = False
        self._held = ()
        self._lose = (b"", b"", 0)
        self.delay = self.rate = 0.0
        self._filter_listeners()
        for link in self._links:
            if not link.forsaken:
                link.speak()

    def _filter_listeners(self) -> None:
        assert self._server is not None
        for listener in self._server.sockets:
            _filter(listener, self._silent)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except OSError:
            _reset(writer)  # the server is away
        except asyncio.CancelledError:
            _reset(writer)  # the proxy is closed
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.resets += 1
            _reset(writer)
            return
        if isinstance(self._target, Path):
            server_reader, server_writer = await asyncio.open_unix_connection(str(self._target))
        else:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        _keep_alive(writer.get_extra_info("socket"))
        link = _Link(self, writer, server_writer)
        self._links.add(link)
        if self._silent:
            link.silence()
        link.hold(self._held)
        try:
            pumps = [
                asyncio.create_task(self._pump(link, reader, server_writer, "up")),
                asyncio.create_task(self._pump(link, server_reader, writer, "down")),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._links.discard(link)
            server_writer.close()
            writer.close()

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await self._take_time(len(data), direction)
                await link.gates[direction].wait()
                if self._is_lost(link, data, direction):
                    self.answers_lost += 1
                    link.reset()
                    return
                writer.write(data)
                await writer.drain()
                self.passed[direction] += len(data)
            await link.gates[direction].wait()  # that it hung up is no news either

    async def _take_time(self, size: int, direction: Direction) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.rate:
            now = time.monotonic()
            self._free_at[direction] = max(now, self._free_at[direction]) + size / self.rate
            await asyncio.sleep(self._free_at[direction] - now)

    def _is_lost(self, link: _Link, data: bytes, direction: Direction) -> bool:
        request, answer, times = self._lose
        if not times:
            return False
        if direction == "up":
            link.asked = link.asked or request in data
            return False
        if link.asked and answer in data:
            self._lose = (request, answer, times - 1)
            return True
        return False


class _Link:
    """One connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.gates = {direction: asyncio.Event() for direction in _BOTH}
        for gate in self.gates.values():
            gate.set()
        self.forsaken = False
        self.asked = False

    def hold(self, directions: tuple[Direction, ...]) -> None:
        for direction in directions:
            self.gates[direction].clear()

    def silence(self) -> None:
        self.hold(_BOTH)
        _filter(self._client.get_extra_info("socket"), True)

    def speak(self) -> None:
        _filter(self._client.get_extra_info("socket"), False)
        for gate in self.gates.values():
            gate.set()

    def reset(self) -> None:
        self._proxy.resets += 1
        _reset(self._client)
        self._server.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, not with FIN (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _keep_alive(end: Any) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        end.setsockopt(socket.IPPROTO_TCP, option, value)


def _filter(end: Any, silent: bool) -> None:
    """Drop whatever comes to a socket before its kernel sees it, keepalive probes included (socket(7), BPF)."""
    with contextlib.suppress(OSError):  # closed meanwhile, or no filter to take away
        if silent:
            end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(_drop)))
        else:
            end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

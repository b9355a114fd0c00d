"""Clients that stop in the middle of a body must not keep the threads from everybody else.

The web server hands a body to the thread as it arrives, without a time limit, and such a read cannot be interrupted. So
reads take as long as they like while few threads are at it; beyond a quarter of the threads, a read is left to a thread
of its own and given up after some seconds. Once the request is answered the server hangs up, and that thread ends too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

__all__ = ["PatientApplication"]

_SECONDS = 3.0
Environ = MutableMapping[str, Any]


class PatientApplication:
    """A WSGI application (PEP 3333) whose ``wsgi.input`` is bounded in this way. Reading raises TimeoutError."""

    def __init__(self, application: Callable[..., Iterable[bytes]], threads: int, seconds: float = _SECONDS) -> None:
        self._application = application
        # Taking one and giving it back are single operations of the interpreter: no lock on the hot path.
        self._places = deque([None] * max(1, threads // 4))
        self._seconds = seconds

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.input"] = _PatientStream(environ["wsgi.input"], self._places, self._seconds)
        return self._application(environ, start_response)


class _PatientStream:
    __slots__ = ("_places", "_seconds", "_stream")

    def __init__(self, stream: Any, places: deque[None], seconds: float) -> None:
        self._stream = stream
        self._places = places
        self._seconds = seconds

    def read(self, size: int | None = -1) -> bytes:
        return self._patiently(self._stream.read, -1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._patiently(self._stream.readline, -1 if size is None else size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        return self.read().splitlines(keepends=True)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readlines())

    def _patiently(self, read: Callable[..., bytes], size: int) -> bytes:
        # Servers differ in what they take for "all of it": no argument does everywhere.
        arguments = () if size < 0 else (size,)
        try:
            self._places.pop()
        except IndexError:
            return self._elsewhere(read, arguments)
        try:
            return read(*arguments)
        finally:
            self._places.append(None)

    def _elsewhere(self, read: Callable[..., bytes], arguments: tuple[int, ...]) -> bytes:
        found: list[bytes] = []
        failed: list[Exception] = []

        def run() -> None:
            try:
                found.append(read(*arguments))
            except Exception as error:
                failed.append(error)

        reader = threading.Thread(target=run, name="slow-body", daemon=True)
        reader.start()
        reader.join(self._seconds)
        if failed:
            raise failed[0]
        if not found:
            raise TimeoutError("the body does not arrive")
        return found[0]

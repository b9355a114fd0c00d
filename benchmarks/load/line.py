"""One HTTP connection that is kept open, as thin as can be."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_TIMEOUT_SECONDS = 60
_NO_ANSWER = 0
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is 0 where the server hung up without a word. `retry_after` in seconds."""

    status: int
    retry_after: float = 0.0
    body: bytes = b""

    def accepted(self) -> int:
        """Readings accepted, as the answer says."""
        _, found, rest = self.body.partition(b'"accepted":')
        return int(rest.split(b",")[0].strip(b" }")) if found else 0


class Line:
    """A connection to a port of this machine; opened when it is needed, again after the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream: socket.socket | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def exchange(self, request: memoryview) -> Answer:
        """Send a whole request and wait for its answer; one refused before it was sent to its end gets it, too."""
        stream = self._stream or self._open()
        whole = True
        try:
            stream.sendall(request)
        except ConnectionError:
            whole = False  # the server has answered before it read on, and closed: its answer may have arrived
        try:
            answer, keeps = _read(stream)
        except ConnectionError:
            answer, keeps = Answer(_NO_ANSWER), False
        if not (whole and keeps):
            self._close()
        return answer

    def _open(self) -> socket.socket:
        stream = socket.create_connection(("127.0.0.1", self._port), _TIMEOUT_SECONDS)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = stream
        return stream

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _read(stream: socket.socket) -> tuple[Answer, bool]:
    """The answer, and whether the server keeps the connection open."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(stream)
    head = received[:end].lower().split(b"\r\n")
    headers = {name: value.strip() for name, value in (line.split(b":", 1) for line in head[1:])}
    status = int(head[0].split()[1])
    length = 0 if status == _NO_CONTENT else int(headers[b"content-length"])
    body = received[end + 4 :]
    while len(body) < length:
        body += _more(stream)
    answer = Answer(status, float(headers.get(b"retry-after", b"0")), body)
    return answer, headers.get(b"connection") != b"close"


def _more(stream: socket.socket) -> bytes:
    part = stream.recv(65536)
    if not part:
        raise ConnectionResetError("the server closed the connection")
    return part

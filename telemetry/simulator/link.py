"""The connection of one courier to the platform: a POST, and what the platform said to it."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Answer", "Link", "Unreachable"]

_PATH = "/api/v1/readings"
_TIMEOUT_SECONDS = 10.0


class Unreachable(Exception):
    """No answer was had: refused, cut off, or too late. Whether the request arrived is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`accepted` and `rejected` count values; `codes` are the reasons of the rejected ones, as far as told."""

    status: int
    accepted: int = 0
    rejected: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    retry_after: float | None = None


class Link:
    """One kept-alive connection; `post` opens it anew wherever it has broken."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
        self._path = parts.path.rstrip("/") + _PATH

    def post(self, body: bytes, key: str) -> Answer:
        """Send one body. Raises Unreachable."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unreachable(str(error) or type(error).__name__) from error
        return _answer(response.status, response.getheader("Retry-After"), content)

    def cut(self) -> None:
        """End a request under way in another thread, at once."""
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self._connection.close()  # it had ended by itself


def _answer(status: int, retry_after: str | None, content: bytes) -> Answer:
    try:
        told = json.loads(content)
    except ValueError:  # a proxy's page
        told = {}
    told = told if isinstance(told, dict) else {}
    codes: dict[str, int] = {}
    for error in told.get("errors") or ():
        code = str(error.get("code"))
        codes[code] = codes.get(code, 0) + 1
    return Answer(status, int(told.get("accepted", 0)), int(told.get("rejected", 0)), codes, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not taken."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None

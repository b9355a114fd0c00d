"""HTTP as a device speaks it: one connection that is kept, made anew after any failure."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from tests.faults.ledger import NO_ANSWER, Ledger

__all__ = ["Client"]

_PATIENCE_SECONDS = 15.0


class Client:
    """Not thread-safe. Every request is timed and counted in the ledger."""

    def __init__(self, port: int, key: str, ledger: Ledger) -> None:
        self._key = key
        self._ledger = ledger
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON answer; (NO_ANSWER, {}) where none came."""
        sent = {"Authorization": f"Bearer {self._key}", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        ask = self._ledger.asked(f"{method} {path[:40]}")
        try:
            self._connection.request(method, path, body, sent)
            response = self._connection.getresponse()
            data = response.read()
            status = response.status
            answer = json.loads(data)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            status, answer = NO_ANSWER, {}
        except ValueError:
            self._ledger.broken(f"{method} {path[:40]} was answered {status} with {data[:200]!r}")
            answer = {}
        self._ledger.answered(ask, status)
        if status == 503:
            who = response.headers.get("Server", "")
            self._ledger.refused(f"{method} {path[:20]}: {answer.get('title')}: {answer.get('detail')} [{who}]")
            if not response.headers.get("Retry-After"):
                self._ledger.broken(f"{method} {path[:40]} was answered 503 without Retry-After")
        return status, answer

    def close(self) -> None:
        self._connection.close()

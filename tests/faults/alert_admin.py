"""The platform as its administrator uses it: the public REST API, with a JWT."""

from __future__ import annotations

import json
from typing import Any

from tests.alerts.receivers import SECRET
from tests.live import Answer, LivePlatform

__all__ = ["SETTINGS", "Admin"]

_PASSWORD = "correct horse battery staple"
#: What a platform needs so that its administrator can log in, and so that messages may go to this machine, and soon do.
SETTINGS = {
    "DJANGO_SUPERUSER_PASSWORD": _PASSWORD,
    "ALERT_EGRESS_ALLOW": "127.0.0.0/8",
    "ALERT_GROUP_SECONDS": "0.5",
}


class Admin:
    """Logs in; a platform started with SETTINGS and web running. Thread-safe once made."""

    def __init__(self, platform: LivePlatform) -> None:
        self._platform = platform
        self._token = ""
        platform.manage("ensure_admin")
        self._token = self.make("auth/token", {"username": "admin", "password": _PASSWORD}, 200)["access"]

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request below /api/v1, whatever is answered. Raises OSError where no answer comes."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        return self._platform.request(method, f"/api/v1/{path}", data, headers)

    def make(self, path: str, body: Any, status: int = 201) -> Any:
        """POST, and what was answered. Raises AssertionError with another status."""
        return self._expect("POST", path, body, status)

    def change(self, path: str, body: Any) -> Any:
        """PATCH, and what was answered. Raises AssertionError where that is no 200."""
        return self._expect("PATCH", path, body, 200)

    def look(self, path: str) -> Any:
        """GET, and what was answered. Raises AssertionError where that is no 200."""
        return self._expect("GET", path, None, 200)

    def remove(self, path: str) -> None:
        """DELETE. Raises AssertionError where that is not done."""
        assert self.ask("DELETE", path).status == 204, path

    def no_routes(self) -> None:
        """Nobody is told of anything, until there is another route."""
        for route in self.look("routes")["results"]:
            self.remove(f"routes/{route['id']}")

    def tell(self, name: str, url: str, **matches: Any) -> None:
        """A webhook and a route to it; ``matches`` as a route has it."""
        config = {"url": url, "secret": SECRET}
        self.make("channels", {"name": name, "kind": "webhook", "config": config})
        self.make("routes", {"name": name, "channels": [name], "continue": True, **matches})

    def _expect(self, method: str, path: str, body: Any, status: int) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status == status, (method, path, answer.status, answer.body[:2000])
        return answer.json()

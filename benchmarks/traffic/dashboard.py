"""Operators who look at what the fleet sends while it sends."""

from __future__ import annotations

import itertools
import json
import random
import re
from urllib.parse import quote, urlencode

from locust import between, task
from locust.exception import StopUser

from benchmarks.traffic.plan import METRICS
from benchmarks.traffic.sending import LEDGER, TrafficUser

__all__ = ["DashboardUser"]

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class DashboardUser(TrafficUser):
    """An operator who signs in, is shown the overview, and looks around: at one thing after the other, so that a short run
    sees all of them."""

    kind = "dashboard"
    wait_time = between(1.0, 3.0)

    def on_start(self) -> None:
        super().on_start()
        found = _TOKEN.search(self.ask("sign in, form", "GET", "/login/")[1])
        form = {
            "username": self.plan.username,
            "password": self.plan.password,
            "csrfmiddlewaretoken": found[1] if found else "",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.ask("sign in", "POST", "/login/", 302, urlencode(form).encode(), headers)[0] != 302:
            LEDGER.broke("an operator could not sign in")
            raise StopUser
        self.ask("overview", "GET", "/")  # where signing in leads
        self._next = itertools.cycle((self.latest, self.aggregates, self.alerts, self.device, self.overview))

    @task
    def look(self) -> None:
        next(self._next)()

    def overview(self) -> None:
        self._page("overview", "/")

    def device(self) -> None:
        if device := self._device():
            self._page("device page", f"/devices/{quote(device)}/")

    def aggregates(self) -> None:
        if device := self._device():
            asked = {"device": device, "metric": METRICS[0], "bucket": "1m", "functions": "avg,max,count"}
            self._json("aggregates", f"/api/v1/aggregates?{urlencode(asked)}", "results")

    def latest(self) -> None:
        if device := self._device():
            self._json("latest", f"/api/v1/devices/{quote(device)}/latest", "metrics")

    def alerts(self) -> None:
        self._json("alerts", "/api/v1/alerts", "results")

    def _page(self, name: str, path: str) -> tuple[int, str]:
        self.go_on()
        status, text, _ = self.ask(name, "GET", path)
        return status, text

    def _json(self, name: str, path: str, holds: str) -> None:
        status, text = self._page(name, path)
        if status == 200 and holds not in json.loads(text):
            LEDGER.broke(f"{name}: the answer has no {holds}: {text[:200]}")

    def _device(self) -> str | None:
        """One that has sent something by now; none at the very start."""
        return random.choice(list(LEDGER.accepted)) if LEDGER.accepted else None

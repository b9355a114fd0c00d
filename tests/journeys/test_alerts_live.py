"""Alerts as a user meets them: everything over the public REST API of the whole platform, with a receiver out there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.receivers import SECRET, Received, WebServer, web_server
from tests.faults.alert_admin import SETTINGS, Admin
from tests.live import LivePlatform

_TYPE = "pump"
#: What "within a few seconds" is, on a machine that does other things too.
_SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def platform() -> Iterator[LivePlatform]:
    with (
        tempfile.TemporaryDirectory(prefix="iot-alerts-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "run", **SETTINGS) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def admin(platform: LivePlatform, receiver: WebServer) -> Admin:
    admin = Admin(platform)
    admin.no_routes()
    admin.tell("ops", receiver.url)
    metrics = [{"name": "temperature", "unit": "°C", "expected_interval": 30}, {"name": "pressure", "unit": "bar"}]
    admin.make("device-types", {"name": _TYPE, "metrics": metrics})
    return admin


@dataclass(frozen=True)
class Site:
    """A user's hands: devices that send, and eyes on what comes of it."""

    platform: LivePlatform
    admin: Admin
    receiver: WebServer

    def device(self, name: str) -> str:
        """Register it; its key."""
        self.admin.make("devices", {"name": name, "type": _TYPE})
        return str(self.admin.make(f"devices/{name}/keys", {"name": "test"})["key"])

    def threshold(self, device: str, **different: Any) -> int:
        levels = [{"severity": "warning", "trigger": 80, "clear": 75}, {"severity": "critical", "trigger": 90}]
        body = {"name": f"{device} hot", "scope": {"device": device}, "metric": "temperature", "condition": "above"}
        return int(self.admin.make("thresholds", {**body, "levels": levels, **different})["id"])

    def send(self, key: str, *readings: tuple[datetime, float]) -> None:
        """In order, and wait until they are stored."""
        body = [{"time": at.isoformat(), "metrics": {"temperature": value}} for at, value in readings]
        answer = self.platform.post(body, key, "?wait=5")
        assert answer.status == 200, answer.body

    def alerts(self, device: str, state: str = "") -> list[Any]:
        """Newest first."""
        query = f"alerts?device={device}" + (f"&state={state}" if state else "")
        return list(self.admin.look(query)["results"])

    def alert(self, device: str, state: str) -> Any:
        """The only one of a device, once it is in that state."""
        self.soon(lambda: self.alerts(device, state), f"an alert of {device} is {state}")
        (found,) = self.alerts(device)
        return self.admin.look(f"alerts/{found['id']}")

    def told(self, kind: str, alert: int) -> Received:
        """The message of this kind that names an alert, once it has arrived; it is genuine."""

        def found() -> list[Received]:
            received = [each for each in self.receiver.received if each.body["kind"] == kind]
            return [each for each in received if alert in [named["id"] for named in each.body["alerts"]]]

        self.soon(found, f"a message {kind} of alert {alert}")
        (message,) = found()
        assert message.signed_by(SECRET)
        assert message.key == message.body["id"]
        return message

    def soon(self, condition: Callable[[], Any], what: str) -> None:
        self.platform.wait_until(condition, _SOON_SECONDS, what)


@pytest.fixture(scope="module")
def site(platform: LivePlatform, admin: Admin, receiver: WebServer) -> Site:
    return Site(platform, admin, receiver)


def kinds(alert: Any) -> list[str]:
    return [row["kind"] for row in alert["timeline"]]


def written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def test_an_alert_opens_is_told_is_acknowledged_is_raised_and_clears(site: Site) -> None:
    key = site.device("pump-1")
    threshold = site.threshold("pump-1", **{"for": 20, "clear_for": 10, "message": "look at {device}"})
    now = datetime.now(UTC) - timedelta(minutes=2)
    times = [now + timedelta(seconds=10 * number) for number in range(8)]

    site.send(key, (times[0], 70), (times[1], 80), (times[2], 81), (times[3], 82))
    assert site.alerts("pump-1") == [], "it has not held for 20 s, and 80 is not above 80"
    site.send(key, (times[4], 84.5))
    opened = site.alert("pump-1", "open")
    assert (opened["threshold"], opened["metric"], opened["unit"]) == (threshold, "temperature", "°C")
    assert (opened["severity"], opened["trigger"], opened["value"], opened["readings"]) == ("warning", 80, 84.5, 3)
    assert opened["opened_at"] == written(times[4])
    assert "80 °C" in opened["explanation"]
    assert "84.5" in opened["explanation"]

    (named,) = site.told("opening", opened["id"]).body["alerts"]
    assert (named["device"], named["severity"], named["value"]) == ("pump-1", "warning", 84.5)
    assert named["message"] == "look at pump-1"
    site.soon(lambda: "notified" in kinds(site.alert("pump-1", "open")), "the timeline says who was told")
    assert "ops" in site.alert("pump-1", "open")["explanation"]

    acknowledged = site.admin.make(f"alerts/{opened['id']}/acknowledge", {"text": "on my way"}, 200)
    assert (acknowledged["state"], acknowledged["acknowledged_by"]) == ("acknowledged", "admin")
    site.send(key, (times[5], 74))
    assert site.alert("pump-1", "acknowledged")["ended_at"] is None, "it has not been safe for 10 s"
    site.send(key, (times[6], 75))
    cleared = site.alert("pump-1", "cleared")
    assert (cleared["ended_at"], cleared["extreme"], cleared["value"]) == (written(times[6]), 84.5, 75)
    (over,) = site.told("recovery", opened["id"]).body["alerts"]
    assert (over["state"], over["ended_at"]) == ("cleared", written(times[6]))
    site.soon(lambda: kinds(site.alert("pump-1", "cleared")).count("notified") == 2, "both messages in the timeline")
    assert [kind for kind in kinds(site.alert("pump-1", "cleared")) if kind != "notified"] == [
        "opened",
        "acknowledged",
        "cleared",
    ]


def test_a_changed_level_is_judged_from_the_next_reading_on(site: Site) -> None:
    key = site.device("pump-2")
    threshold = site.threshold("pump-2")
    now = datetime.now(UTC) - timedelta(minutes=1)
    site.send(key, (now, 85))
    assert site.alert("pump-2", "open")["severity"] == "warning"
    levels = [{"severity": "warning", "trigger": 60}, {"severity": "critical", "trigger": 84}]
    site.admin.change(f"thresholds/{threshold}", {"levels": levels})
    site.send(key, (now + timedelta(seconds=1), 85))
    raised = site.alert("pump-2", "open")
    assert (raised["severity"], raised["trigger"], len(site.alerts("pump-2"))) == ("critical", 84, 1)


def _patched(body: dict[str, Any]) -> Callable[[Site, str, int], None]:
    return lambda site, device, threshold: site.admin.change(f"thresholds/{threshold}", body)


#: What is done, and why the alert is over then.
_ENDINGS: dict[str, tuple[Callable[[Site, str, int], None], str]] = {
    "disabled": (_patched({"enabled": False}), "threshold removed"),
    "deleted": (lambda site, device, threshold: site.admin.remove(f"thresholds/{threshold}"), "threshold removed"),
    "metric": (_patched({"metric": "pressure"}), "threshold removed"),
    "scope": (_patched({"scope": {"device": "elsewhere"}}), "threshold removed"),
    "level": (_patched({"levels": [{"severity": "critical", "trigger": 90}]}), "level removed"),
    "overridden": (
        lambda site, device, threshold: site.threshold(
            device, name="other", levels=[{"severity": "info", "trigger": 500}], overrides=threshold
        ),
        "threshold removed",
    ),
    "device-off": (
        lambda site, device, threshold: site.admin.change(f"devices/{device}", {"enabled": False}),
        "device disabled",
    ),
    "device-gone": (lambda site, device, threshold: site.admin.remove(f"devices/{device}"), "device deleted"),
}


def test_what_no_reading_will_close_any_more_is_over_within_seconds_and_its_end_is_told(site: Site) -> None:
    site.device("elsewhere")
    opened = {}
    for name in _ENDINGS:
        key = site.device(name)
        opened[name] = site.threshold(name)
        site.send(key, (datetime.now(UTC) - timedelta(seconds=5), 85))
    alerts = {name: site.alert(name, "open")["id"] for name in _ENDINGS}
    for alert in alerts.values():
        site.told("opening", alert)

    for name, (end, _) in _ENDINGS.items():
        end(site, name, opened[name])
    for name, (_, reason) in _ENDINGS.items():
        assert site.alert(name, "cleared")["end_reason"] == reason, name
    for name, (_, reason) in _ENDINGS.items():
        body = site.told("recovery", alerts[name]).body
        (named,) = [each for each in body["alerts"] if each["id"] == alerts[name]]
        assert (named["state"], named["end_reason"]) == ("cleared", reason), name


def test_silence_opens_an_alert_and_the_next_reading_clears_it(site: Site) -> None:
    key = site.device("pump-3")
    now = datetime.now(UTC)
    site.send(key, (now - timedelta(seconds=5), 20))
    site.threshold("pump-3", condition="silent", levels=[{"severity": "major", "trigger": 3}])
    silent = site.alert("pump-3", "open")
    assert (silent["severity"], silent["trigger"]) == ("major", 3)
    assert silent["value"] >= 3
    site.told("opening", silent["id"])
    site.send(key, (now, 20))
    assert site.alert("pump-3", "cleared")["end_reason"] == ""
    site.told("recovery", silent["id"])

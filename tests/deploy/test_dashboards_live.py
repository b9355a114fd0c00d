"""Every panel of every dashboard, and every alert rule, against a real Prometheus that scrapes a platform at work."""

from __future__ import annotations

import json
import math
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
import yaml

from iotplatform.env import BASE_DIR, config
from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.engine import engine_in_use
from tests.alerts.receivers import WebServer, web_server
from tests.deploy.prometheus_server import Prometheus, prometheus
from tests.faults.alert_admin import SETTINGS, Admin
from tests.live import LivePlatform, own_database

pytestmark = pytest.mark.slow

DASHBOARDS = sorted((BASE_DIR / "deploy" / "grafana" / "dashboards").glob("*.json"))
TOKEN = "of-prometheus"
#: Readings of one POST, a millisecond apart: a drain that has them writes columns, where the server can.
BURST = 3 * config.columnar_min_rows


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def platform() -> Iterator[LivePlatform]:
    with (
        tempfile.TemporaryDirectory(prefix="iot-scraped-", dir="/tmp") as folder,
        own_database() as url,
        LivePlatform(
            Path(folder) / "run", database_url=url, **SETTINGS, METRICS_TOKEN=TOKEN, METRICS_NETWORKS=""
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def scraped(platform: LivePlatform, receiver: WebServer) -> Iterator[Prometheus]:
    """It has seen a few seconds of load: readings good and bad, and an alert that somebody was told of."""
    with (
        tempfile.TemporaryDirectory(prefix="iot-prometheus-") as folder,
        prometheus(Path(folder) / "prometheus", f"127.0.0.1:{platform.port}", TOKEN) as server,
    ):
        admin = Admin(platform)
        admin.no_routes()
        admin.tell("ops", receiver.url)
        key = platform.provision("pump-7")
        level = {"severity": "critical", "trigger": 90}
        hot = {"name": "Hot", "scope": {"device": "pump-7"}, "metric": "t", "condition": "above", "levels": [level]}
        admin.make("thresholds", hot)
        over = Event()
        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(_send, platform, key, over)
            try:
                platform.wait_until(lambda: _seen(server), 30, "what was told of an alert")
                yield server
            finally:
                over.set()
            sending.result()


def _send(platform: LivePlatform, key: str, over: Event) -> None:
    """Values on both sides of the threshold, now and then a reading that is refused, or enough of them for columns."""
    number = 0
    while not over.wait(0.05):
        number += 1
        if number % 20 == 0:
            first = time.time_ns() // 1_000_000 - BURST
            platform.post({"times": [*range(first, first + BURST)], "metrics": {"v": [1.5] * BURST}}, key)
        platform.post({"metrics": {"t": 95 if number % 20 > 10 else 21}}, key)
        platform.post({"time": "2001-01-01T00:00:00Z", "metrics": {"t": 21.5}}, key)


def _seen(server: Prometheus) -> bool:
    return all(
        any(value > 0 for _, value in server.query(expression))
        for expression in (
            "rate(iot_readings_stored_total[10s])",
            "rate(iot_deliver_seconds_count[10s])",
            "rate(iot_ingest_latency_seconds_count[10s])",
            "iot_database_readings_bytes",
        )
    )


def panels() -> list[Any]:
    return [
        pytest.param(panel, id=f"{file.stem}: {panel['title']}")
        for file in DASHBOARDS
        for panel in json.loads(file.read_text())["panels"]
        if panel["datasource"]["type"] == "prometheus"
    ]


def rules() -> list[Any]:
    text = (BASE_DIR / "deploy" / "prometheus" / "rules" / "iot.yml").read_text()
    return [pytest.param(rule, id=rule["alert"]) for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("panel", panels())
def test_every_query_of_every_panel_has_an_answer(
    platform: LivePlatform, scraped: Prometheus, panel: dict[str, Any]
) -> None:
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "10s")

        def numbers(expression: str = expression) -> list[float]:
            return [value for _, value in scraped.query(expression) if not math.isnan(value)]

        platform.wait_until(numbers, 20, f"numbers for {expression}")


def test_the_panel_of_layouts_shows_columns_where_readings_land_in_them(
    platform: LivePlatform, scraped: Prometheus
) -> None:
    with psycopg.connect(platform.database_url) as connection, connection.cursor() as cursor:
        columnar = isinstance(engine_in_use(cursor), Columnar) and unsound(cursor) is None
    (panel,) = [panel.values[0] for panel in panels() if "iot_readings_landed" in json.dumps(panel.values[0])]
    expression = panel["targets"][0]["expr"].replace("$__rate_interval", "10s")

    def by_layout() -> dict[str, float]:
        return {labels["layout"]: value for labels, value in scraped.query(expression)}

    platform.wait_until(lambda: by_layout().get("columns" if columnar else "rows", 0) > 0, 20, "readings of a layout")
    assert (by_layout()["columns"] > 0) is columnar


@pytest.mark.parametrize("rule", rules())
def test_every_rule_finds_the_series_that_it_watches(
    platform: LivePlatform, scraped: Prometheus, rule: dict[str, Any]
) -> None:
    """Prometheus takes a rule about a series that nobody has: it would be silent for ever."""
    for part in _watched(rule["expr"]):
        platform.wait_until(lambda part=part: scraped.query(part), 20, f"a series for {part}")


def _watched(expression: str) -> set[str]:

    return set(re.findall(r"(?:iot_\w+|up)(?:\{[^}]*\})?", expression))


def test_prometheus_takes_every_rule_and_none_fires_about_a_platform_that_is_well(
    platform: LivePlatform, scraped: Prometheus
) -> None:
    platform.wait_until(
        lambda: {rule["health"] for group in scraped.ask("rules")["groups"] for rule in group["rules"]} == {"ok"},
        20,
        "an evaluation of every rule",
    )
    assert scraped.query('ALERTS{alertstate="firing"}') == []


def test_metrics_are_shown_to_nobody_without_the_token(platform: LivePlatform, scraped: Prometheus) -> None:
    assert platform.get("/metrics").status == 403
    assert [value for _, value in scraped.query('up{job="iot"}')] == [1.0]

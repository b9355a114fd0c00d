"""The Grafana dashboards that are shipped are those that are described, and ask for what the platform tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import rendered
from iotplatform.access import reader
from iotplatform.env import BASE_DIR
from tests.deploy.metric_names import asked_for, declared

GRAFANA = BASE_DIR / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def panels(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["panels"]


def expressions() -> list[str]:
    return [
        target["expr"] for file in FILES for panel in panels(file) for target in panel["targets"] if "expr" in target
    ]


def test_the_files_are_those_that_are_described() -> None:
    assert {file.name: file.read_text() for file in FILES} == {
        f"{each.uid}.json": rendered(each) for each in DASHBOARDS
    }, "python -m deploy.grafana.dashboards"
    names = {each.uid.removeprefix("iot-") for each in DASHBOARDS}
    assert names == {"ingest", "pipeline", "alerts", "database", "workers", "readings"}


def test_every_expression_asks_for_metrics_that_exist() -> None:
    known = declared()
    for expression in expressions():
        assert asked_for(expression) <= known, expression
    assert len({name for expression in expressions() for name in asked_for(expression)}) > 50


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_have_names_meanings_and_a_place_of_their_own(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(file):
        assert panel["title"] and panel["description"].endswith(".")
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def source(name: str) -> dict[str, Any]:
    (found,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / f"{name}.yml").read_text())["datasources"]
    return found


def test_grafana_finds_the_dashboards_and_where_they_ask() -> None:
    used = {tuple(panel["datasource"].values()) for file in FILES for panel in panels(file)}
    assert used == {(source(name)["type"], source(name)["uid"]) for name in ("prometheus", "readings")}
    for file in FILES:
        for panel in panels(file):
            for target in panel["targets"]:
                assert target["datasource"] == panel["datasource"]
                assert ("rawSql" in target) == (target["datasource"]["uid"] == "readings")
    prometheus = yaml.safe_load((BASE_DIR / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert source("prometheus")["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "iot.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)


def test_the_database_is_asked_as_the_reader_whose_password_is_in_no_file_here() -> None:
    readings = source("readings")
    assert readings["user"] == reader.NAME
    assert readings["secureJsonData"] == {"password": "$__file{/run/secrets/reader-password}"}
    assert readings["jsonData"]["maxOpenConns"] < reader.CONNECTIONS

"""The Grafana dashboards that are shipped are those that are described, and ask for what the platform tells."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from iotplatform.env import BASE_DIR
from tests.deploy.metric_names import asked_for, declared

GRAFANA = BASE_DIR / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def described() -> Any:
    spec = importlib.util.spec_from_file_location("grafana_dashboards", GRAFANA / "dashboards.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def panels(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["panels"]


def expressions() -> list[str]:
    return [target["expr"] for file in FILES for panel in panels(file) for target in panel["targets"]]


def test_the_files_are_those_that_are_described() -> None:
    module = described()
    assert {file.name: file.read_text() for file in FILES} == {
        f"{each.uid}.json": module.rendered(each) for each in module.DASHBOARDS
    }, "python deploy/grafana/dashboards.py"
    assert len(FILES) >= 2


def test_every_expression_asks_for_metrics_that_exist() -> None:
    known = declared()
    for expression in expressions():
        assert asked_for(expression) <= known, expression
    assert len({name for expression in expressions() for name in asked_for(expression)}) > 25


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


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    used = {panel["datasource"]["uid"] for file in FILES for panel in panels(file)}
    assert used == {source["uid"]}
    prometheus = yaml.safe_load((BASE_DIR / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "iot.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)

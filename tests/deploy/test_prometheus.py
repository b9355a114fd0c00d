"""Prometheus' configuration and the alert rules that are shipped are well made, and say what is true of the platform."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from iotplatform.env import BASE_DIR, load
from tests.deploy.metric_names import asked_for, declared

FOLDER = BASE_DIR / "deploy" / "prometheus"
RULES = FOLDER / "rules" / "iot.yml"
CASES = FOLDER / "tests" / "iot_test.yml"
MONITORING = (BASE_DIR / "docs" / "monitoring.md").read_text()


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "promtool is missing: make programs"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def alert_rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "rules", tmp_path / "rules")
    token = tmp_path / "token"
    token.write_text("secret")
    text = (FOLDER / "prometheus.yml").read_text()
    assert text.count("/run/secrets/metrics-token") == 1
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/metrics-token", str(token)))
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alert_rules())} rules found" in done.stdout


def test_prometheus_takes_what_the_docs_say_of_a_cluster(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", MONITORING, re.DOTALL)
    token = tmp_path / "token"
    token.write_text("secret")
    config = tmp_path / "prometheus.yml"
    # Debian's Prometheus is built without what asks a cluster for its pods: all but that is checked.
    asked = "kubernetes_sd_configs: [{role: pod, namespaces: {names: [iot]}}]"
    assert asked in text
    text = text.replace(asked, "static_configs: []").replace("/run/secrets/metrics-token", str(token))
    config.write_text(text)
    done = promtool("check", "config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    pods = [*yaml.safe_load_all((BASE_DIR / "deploy" / "kubernetes" / "base" / "web.yaml").read_text())]
    assert any(
        pod["metadata"]["labels"]["app.kubernetes.io/name"] == "iot" for pod in pods if "labels" in pod["metadata"]
    )


def test_every_rule_fires_when_it_should_and_no_other_does() -> None:
    done = promtool("test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_case_in_which_it_fires() -> None:
    fired = set(re.findall(r'alertname="(\w+)"', CASES.read_text()))
    assert fired == {rule["alert"] for rule in alert_rules()}


def test_a_rule_that_is_changed_fails_its_cases(tmp_path: Path) -> None:
    """The cases are about the rules as they are: a threshold that is turned up is noticed."""
    shutil.copytree(FOLDER, tmp_path / "prometheus")
    cases = tmp_path / "prometheus" / "tests" / "iot_test.yml"
    described = yaml.safe_load(cases.read_text())
    described["tests"] = [case for case in described["tests"] if case["name"] == "a shard that nobody drains"]
    cases.write_text(yaml.safe_dump(described))
    assert promtool("test", "rules", cases).returncode == 0
    rules = tmp_path / "prometheus" / "rules" / "iot.yml"
    rules.write_text(rules.read_text().replace("iot_log_oldest_seconds > 60", "iot_log_oldest_seconds > 600"))
    assert promtool("test", "rules", cases).returncode != 0


def test_rules_ask_only_for_metrics_that_exist() -> None:
    known = declared()
    assert {"iot_up", "iot_readings_stored_total", "iot_ingest_latency_seconds_bucket"} <= known
    for rule in alert_rules():
        assert asked_for(rule["expr"]) <= known, rule["alert"]


def test_every_metric_that_operators_are_to_watch_has_a_rule() -> None:
    section = (BASE_DIR / "docs" / "operations.md").read_text().partition("\n## Metrics and logs\n")[2]
    table = [line.split("|")[1] for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `iot_")]
    watched = {name for cell in table for name in asked_for(cell)}
    asked = {name.removesuffix("_bucket") for rule in alert_rules() for name in asked_for(rule["expr"])}
    assert len(watched) > 10
    assert watched <= asked


def test_half_of_the_log_is_half_of_what_is_shipped() -> None:
    (rule,) = [rule for rule in alert_rules() if rule["alert"] == "IotLogFillingUp"]
    assert rule["expr"] == f"iot_log_bytes > {load(environ={}).log_max_bytes // 2}"


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook"} == rule["annotations"].keys()
    assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in MONITORING
    assert f"| [{rule['alert']}](#{rule['alert'].lower()}) | {rule['labels']['severity']} |" in MONITORING

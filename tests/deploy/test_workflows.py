"""The public CI: valid, narrow in what it may do, pinned, and running what everybody runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from iotplatform.env import BASE_DIR
from tests.live import LivePlatform

FOLDER = BASE_DIR / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def ci() -> dict:
    # YAML 1.1 reads the word "on" as true.
    return yaml.safe_load((FOLDER / "ci.yml").read_text().replace("\non:", '\n"on":'))


def steps(ci: dict) -> list[dict]:
    return [step for job in ci["jobs"].values() for step in job["steps"]]


def test_githubs_schema_and_the_security_lint_find_nothing() -> None:
    for line in (
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES],
        ["zizmor", "--offline", *FILES],
    ):
        done = subprocess.run([BIN / line[0], *line[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_and_the_lint_would_find_something(tmp_path: Path) -> None:
    text = (FOLDER / "ci.yml").read_text()
    wrong, open_to_all = tmp_path / "wrong.yml", tmp_path / "open.yml"
    wrong.write_text(text.replace("runs-on:", "runs-at:"))
    open_to_all.write_text(
        text.replace("run: make test PYTHON=python", "run: echo ${{ github.event.pull_request.title }}")
    )
    schema = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", wrong]
    assert subprocess.run(schema, capture_output=True, check=False).returncode != 0
    lint = [BIN / "zizmor", "--offline", open_to_all]
    assert subprocess.run(lint, capture_output=True, check=False).returncode != 0


def test_every_action_is_githubs_own_and_pinned_to_a_commit(ci: dict) -> None:
    text = (FOLDER / "ci.yml").read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert len(used) == len([step for step in steps(ci) if "uses" in step]) > 5
    for action, comment in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_every_job_may_only_read_and_ends_by_itself(ci: dict) -> None:
    assert ci["permissions"] == {}
    assert ci["concurrency"]["group"]
    for name, job in ci["jobs"].items():
        assert job["permissions"] == {"contents": "read"}, name
        assert 0 < job["timeout-minutes"] <= 90, name
    assert all(step["with"]["persist-credentials"] is False for step in steps(ci) if "checkout" in step.get("uses", ""))


def test_the_suite_runs_on_both_databases_and_both_ends_of_python(ci: dict) -> None:
    matrix = ci["jobs"]["suite"]["strategy"]["matrix"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (BASE_DIR / "pyproject.toml").read_text()).group(1)
    image = re.search(r"^FROM python:(\d+\.\d+)", (BASE_DIR / "Dockerfile").read_text(), re.MULTILINE).group(1)
    assert matrix["python"] == [oldest, image]
    compose = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
    assert [database["image"] for database in matrix["database"]] == ["", compose["services"]["database"]["image"]]


def test_it_runs_targets_of_the_makefile(ci: dict) -> None:
    run = " ".join(step.get("run", "") for step in steps(ci))
    asked = set(re.findall(r"\bmake ([a-z-]+)", run))
    targets = set(re.findall(r"^([\w-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    assert {"test", "test-slow"} <= asked <= targets
    assert "tests.security.audit --transitive --required" in run


@pytest.mark.slow
def test_the_smoke_test_of_the_image_sends_a_reading_and_sees_it_stored(tmp_path: Path) -> None:
    with LivePlatform(tmp_path) as platform:
        line = [BASE_DIR / "tests" / "deploy" / "smoke", platform.url, "env", f"PATH={BIN}:/usr/bin:/bin"]
        done = subprocess.run(
            line, cwd=BASE_DIR, env=platform.environment, capture_output=True, text=True, timeout=90, check=True
        )
        assert done.stdout.splitlines()[-1] == "smoke: one reading sent, one stored"
        assert json.loads(done.stdout.splitlines()[-2])["state"] == "stored"

"""The documents are true: settings, dependencies, commands, links, and the README's commands as they are printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from django.core.management import get_commands

from iotplatform.access import reader
from iotplatform.env import BASE_DIR, CONFIG_FILE
from iotplatform.setting_kinds import Number
from iotplatform.tunables import TUNABLES
from tests.live import LivePlatform

DOCUMENTS = sorted([*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").rglob("*.md")])
OPERATIONS = (BASE_DIR / "docs" / "operations.md").read_text()


def table_rows(text: str, columns: int) -> list[list[str]]:
    """Cells of every table row with that many columns."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return [row for row in rows if len(row) == columns]


def test_every_setting_stands_in_the_table_with_its_default_and_its_bounds() -> None:
    defaults = yaml.safe_load(CONFIG_FILE.read_text())
    described = {row[0].strip("`"): row[1:] for row in table_rows(OPERATIONS, 4) if row[0].startswith("`")}
    settings = {key: described[key] for key in described if key in TUNABLES}
    assert settings.keys() == TUNABLES.keys()
    for key, (default, allowed, meaning) in settings.items():
        assert default == f"`{defaults[key]}`", key
        assert meaning, key
        kind = TUNABLES[key]
        if isinstance(kind, Number):
            assert [float(number.replace(",", "")) for number in allowed.split(" to ")] == [kind.low, kind.high], key


def test_every_variable_of_the_environment_is_described() -> None:
    source = (BASE_DIR / "iotplatform" / "env.py").read_text()
    read = set(re.findall(r'environ\.get\("(\w+)"', source)) | set(
        re.findall(r'_secret\(\w+(?:\.\w+)?, "(\w+)"', source)
    )
    read |= set(re.findall(r'^    "([A-Z_]+_URL)": \(', source, re.MULTILINE))
    assert {"HOST", "SECRET_KEY", "DATABASE_URL"} <= read, "the pattern still finds them"
    assert not {name for name in read if f"`{name}`" not in OPERATIONS}


def test_dependencies_are_listed_with_their_exact_version_purpose_and_licence() -> None:
    text = (BASE_DIR / "docs" / "dependencies.md").read_text()
    listed = {row[0]: row[1:] for row in table_rows(text, 4) if row[0] not in ("package", "---")}
    pinned = {}
    for name in ("requirements.txt", "requirements-dev.txt"):
        pinned |= dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", (BASE_DIR / name).read_text(), re.MULTILINE))
    for folder in ("tests/wasm", "iotplatform/dashboard/assets"):
        npm = json.loads((BASE_DIR / folder / "package.json").read_text())
        for name, version in {**npm.get("dependencies", {}), **npm.get("devDependencies", {})}.items():
            pinned[f"{name} (npm)"] = version
    assert {name: cells[0] for name, cells in listed.items()} == pinned
    assert all(purpose and licence for _, purpose, licence in listed.values())


def test_every_link_leads_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        anchors = {
            re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(r"^#+ (.*)", text, re.M)
        }
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            if path.startswith("http"):
                continue
            assert not path or (document.parent / path).exists(), f"{document.name}: {target}"
            assert path or anchor in anchors, f"{document.name}: {target}"


def test_every_command_that_is_named_exists() -> None:
    commands = get_commands()
    targets = set(re.findall(r"^([\w-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        assert set(re.findall(r"manage\.py ([a-z_]+)", text)) <= commands.keys() | {"check"}, document.name
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, document.name


def test_the_code_that_is_named_exists() -> None:
    for document in DOCUMENTS:
        for path in re.findall(
            r"`((?:telemetry|iotplatform|thresholds|alerts|tests|deploy|docs)/[\w/.-]*)`", document.read_text()
        ):
            assert (BASE_DIR / path).exists(), f"{document.name}: {path}"


def test_every_metric_that_is_named_exists() -> None:
    measures = [BASE_DIR / app / "measures.py" for app in ("telemetry", "alerts")]
    sources = [*measures, *(BASE_DIR / "iotplatform" / "observability").glob("*.py")]
    declared = set(re.findall(r'"(iot_[a-z_]+)"', "".join(path.read_text() for path in sources)))
    named = {name.removesuffix("_total") for name in re.findall(r"`(iot_[a-z_]+)", OPERATIONS)}
    assert len(named) > 10
    assert named <= declared | {reader.NAME}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    with LivePlatform(tmp_path_factory.mktemp("docs")) as platform:
        platform.manage("ensure_admin")
        yield platform


def test_the_readme_sends_a_reading_reads_it_back_and_judges_one_as_printed(platform: LivePlatform) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (BASE_DIR / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    send, judge = [block for block in blocks if "curl" in block]
    here = (send + judge).replace("http://localhost:8000", platform.url).replace(".run/", f"{platform.run_dir}/")
    assert here.count(platform.url) == 6
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here],
        cwd=BASE_DIR,
        env=platform.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"state":"stored","accepted":2,"stored":2' in done.stdout
    assert re.search(r'\{"device":"pump-7","metric":"temperature","time":"[^"]+Z","value":21.5\}', done.stdout)
    alert = json.loads(done.stdout[done.stdout.rindex('{"results"') :])["results"][0]
    assert (alert["threshold_name"], alert["severity"], alert["trigger"], alert["value"]) == ("Hot", "critical", 90, 95)

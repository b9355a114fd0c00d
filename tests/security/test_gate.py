"""The security gate: what it looks for, it finds."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR
from tests.security import audit, licences
from tests.security.secret_scan import ALLOWED, explains, findings, tracked, unexplained

BIN = Path(sys.executable).parent
#: Put together here, so that no line of this file looks like one.
PLANTED = {
    "aws.py": "key = '" + "AKIA" + "QWERTZUIOPASDFGH" + "'",
    "github.yaml": "token: " + "ghp_" + "x7Fq2LmZ9Rt4" + "Vb6Ny1Kc3Hd8" + "Js5Wg0Pa2Ue4",
    "server.pem": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "url.md": "postgresql://iot:" + "7hQx2pLw9Z" + "@db.internal/iot",
    "key.env": "SECRET_KEY = '" + hashlib.sha256(b"planted").hexdigest() + "'",
}


def test_bandit_finds_what_is_dangerous_and_nothing_in_the_platform(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import subprocess\nsubprocess.call(input(), shell=True)\n")
    line = [BIN / "bandit", "-q", "-c", BASE_DIR / "pyproject.toml", "-ll"]
    assert subprocess.run([*line, bad], capture_output=True, check=False).returncode == 1
    makefile = (BASE_DIR / "Makefile").read_text()
    assert "bandit -q -c pyproject.toml -r . -ll" in makefile
    assert re.search(r"^test: .*\bsecurity\b", makefile, re.MULTILINE)


def test_no_exception_of_bandit_is_without_its_number() -> None:
    for path in tracked():
        if path.endswith(".py") and not path.startswith("tests/"):
            for line in (BASE_DIR / path).read_text().splitlines():
                if "# nosec" in line:
                    assert re.search(r"# .+ +# nosec( B\d{3})+$", line), f"{path}: {line.strip()}"


def test_a_planted_secret_is_found(tmp_path: Path) -> None:
    for name, text in PLANTED.items():
        (tmp_path / name).write_text(f"first line\n{text}\n")
    found = list(unexplained(findings(tmp_path, PLANTED)))
    assert {finding.path for finding in found} == PLANTED.keys()
    assert {finding.line for finding in found} == {2}


def test_the_repository_holds_no_secret_and_every_exception_is_still_needed() -> None:
    found = findings(BASE_DIR, tracked())
    assert [f"{finding.path}:{finding.line} {finding.kind}" for finding in unexplained(found)] == []
    unused = [entry for entry in ALLOWED if not any(explains(entry, finding) for finding in found)]
    assert unused == []
    assert all(entry.why for entry in ALLOWED)


PACKAGE = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "not found"}
HURT = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1"}]}


@pytest.mark.parametrize(
    ("report", "required", "code", "says"),
    [
        ([PACKAGE], True, 0, "1 packages, none"),
        ([PACKAGE, HURT], False, 1, "c 2: PYSEC-1"),
        ([HURT, UNKNOWN], False, 1, "c 2: PYSEC-1"),
        ([UNKNOWN], False, 0, "not run"),
        ([UNKNOWN], True, 1, "not run"),
        ([PACKAGE, UNKNOWN], False, 0, "not known: b"),
        ([PACKAGE, UNKNOWN], True, 1, "not known: b"),
        (None, False, 0, "not run"),
        (None, True, 1, "not run"),
    ],
)
def test_the_audit_fails_on_a_finding_and_says_where_it_could_not_run(
    report: list | None, required: bool, code: int, says: str
) -> None:
    given = None if report is None else {"dependencies": report}
    answered, line = audit.verdict(given, "no route", required=required)
    assert (answered, says in line) == (code, True), line


def test_every_installed_package_has_a_licence_that_is_allowed_and_is_listed() -> None:
    assert len(licences.installed()) > 60
    for name, distribution in licences.installed().items():
        assert set(licences.families(distribution)) <= licences.FAMILIES.keys(), name
    listed = set(re.findall(r"^\| .* \|$", licences.PAGE.read_text(), re.MULTILINE))
    wanted = set(re.findall(r"^\| .* \|$", licences.page(), re.MULTILINE))
    missing = wanted - listed
    assert not missing, f"run `python -m tests.security.licences`: {missing}"


def test_a_licence_that_is_not_allowed_is_seen() -> None:
    class Package:
        metadata = {"License-Expression": "AGPL-3.0-only"}

    Package.metadata = type("About", (dict,), {"get_all": lambda self, name: []})(Package.metadata)
    assert not set(licences.families(Package())) <= licences.FAMILIES.keys()


def test_the_deployment_check_is_clean_under_production_settings() -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "RUN_DIR")},
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PUBLIC_URL": "https://iot.example.org",
        "TRUSTED_PROXIES": "10.0.0.0/8",
        "ALLOWED_HOSTS": "iot.example.org",
        "SECRET_KEY": "".join(chr(97 + number * 7 % 26) + str(number) for number in range(40)),
        "DJANGO_SETTINGS_MODULE": "iotplatform.settings",
    }
    line = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(line, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout

"""Known vulnerabilities of what is installed from the requirements files, asked of PyPI's advisory service.

`python -m tests.security.audit` audits the pinned packages; with ``--transitive`` everything they bring along as well.
Where no service answers (a closed network) it says so and ends well, unless ``--required`` is given, as in the public CI.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from iotplatform.env import BASE_DIR

__all__ = ["verdict"]

_FILES = ("requirements.txt", "requirements-dev.txt")
_SECONDS = {False: 60, True: 900}


def verdict(report: Mapping[str, Any] | None, trouble: str, *, required: bool) -> tuple[int, str]:
    """Exit code and one line for a report of pip-audit (None where it made none; ``trouble`` is what it said)."""
    packages = report["dependencies"] if report else []
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [
        f"{package['name']} {package['version']}: {', '.join(item['id'] for item in package['vulns'])}"
        for package in packages
        if package.get("vulns")
    ]
    if found:
        return 1, "pip-audit: known vulnerabilities in " + "; ".join(found)
    audited = len(packages) - len(skipped)
    if not audited:
        return int(
            required
        ), f"pip-audit: not run: no vulnerability service answers here ({trouble or 'no package known'})"
    if skipped:
        return int(
            required
        ), f"pip-audit: {audited} packages without a known vulnerability; not known: {', '.join(skipped)}"
    return 0, f"pip-audit: {audited} packages, none with a known vulnerability"


def _ask(transitive: bool) -> tuple[Mapping[str, Any] | None, str]:
    files = [part for name in _FILES for part in ("-r", str(BASE_DIR / name))]
    # requirements-dev.txt names requirements.txt itself; alone it would be audited without what it brings.
    options = files[2:] if transitive else [*files[:2], "--no-deps", "--disable-pip"]
    line = [sys.executable, "-m", "pip_audit", *options, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS[transitive], check=False)
    except subprocess.TimeoutExpired as error:
        return None, f"no answer within {error.timeout:.0f} s"
    try:
        return json.loads(done.stdout), ""
    except ValueError:
        return None, (done.stderr.strip().splitlines() or ["no report"])[-1][:200]


def main(arguments: Sequence[str]) -> int:
    """Prints the verdict; answers the exit code."""
    report, trouble = _ask("--transitive" in arguments)
    code, line = verdict(report, trouble, required="--required" in arguments)
    print(line)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

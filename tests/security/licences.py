"""Licences of everything that is installed to run the platform, what the requirements bring along included.

`python -m tests.security.licences` writes docs/licences.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from iotplatform.env import BASE_DIR

__all__ = ["FAMILIES", "PAGE", "families", "installed", "page"]

PAGE = BASE_DIR / "docs" / "licences.md"

#: What a licence may be, and how packages spell it. Everything here may be used and passed on in a program under any
#: licence; the LGPL's and MPL's duties concern changes to those packages themselves, and we make none.
FAMILIES = {
    "MIT": r"\bMIT(?:-0)?\b",
    "BSD": r"\b(?:0?BSD(?:-\d-Clause)?)\b",
    "Apache-2.0": r"\bApache\b",
    "ISC": r"\bISC\b",
    "MPL-2.0": r"\b(?:MPL|Mozilla Public License)\b",
    "PSF-2.0": r"\b(?:PSF-2\.0|Python Software Foundation)\b",
    "LGPL-3.0": r"\bLGPL|GNU Lesser General Public\b",
    "Zlib": r"\bZlib\b",
    "CC0-1.0": r"\bCC0\b",
    "Unlicense": r"\bUnlicense\b",
}
_OTHERS = re.compile(r"\b(?:A?GPL|SSPL|BUSL|Commons Clause|RSAL|Proprietary|Affero)", re.IGNORECASE)

_HEAD = """# Licences

Everything that is installed to run the platform (`requirements.txt` and what it brings along), and under which family
of licences it stands. What it is for: [dependencies.md](dependencies.md), which also has the packages of the browser, of
development and the servers. A test compares this list with what is installed and knows which families are allowed;
`python -m tests.security.licences` writes it anew.

| package | licence | named in `requirements.txt` |
| --- | --- | --- |
"""


def families(distribution: metadata.Distribution) -> list[str]:
    """The families that a package names, alphabetically; one that it names and we do not know is kept as it is."""
    about = distribution.metadata
    classifiers = [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    named = about.get("License-Expression") or " ".join([*classifiers, (about.get("License") or "").split("\n")[0]])
    found = sorted(family for family, spelling in FAMILIES.items() if re.search(spelling, named))
    return found + sorted(set(_OTHERS.findall(named))) or [named.strip() or _by_its_text(distribution)]


def _by_its_text(distribution: metadata.Distribution) -> str:
    """For a package that names none in its metadata: the family that the first line of its licence's text names."""
    for file in distribution.files or []:
        if file.name == "LICENSE" and file.parent.name == "licenses":
            title = str(file.locate().read_text()).lstrip().split("\n", 1)[0]
            return next((family for family, spelling in FAMILIES.items() if re.search(spelling, title)), "unknown")
    return "unknown"


def installed() -> dict[str, metadata.Distribution]:
    """Every package that `requirements.txt` leads to on this machine, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [Requirement(line) for line in _pinned()]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        distribution = metadata.distribution(wanted.name)
        found[distribution.metadata["Name"]] = distribution
        asked = (wanted.name, frozenset(wanted.extras))
        if asked in seen:
            continue
        seen.add(asked)
        waiting += _brings(distribution, wanted.extras)
    return found


def _brings(distribution: metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    for text in distribution.requires or []:
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield needed


def _pinned() -> list[str]:
    return (BASE_DIR / "requirements.txt").read_text().splitlines()


def page() -> str:
    """docs/licences.md as it should be."""
    direct = {re.sub(r"[-_.]+", "-", Requirement(line).name).lower() for line in _pinned()}
    rows = [
        f"| {name} | {', '.join(families(distribution))} | {'yes' if _plain(name) in direct else ''} |"
        for name, distribution in sorted(installed().items(), key=lambda item: item[0].lower())
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE}: {len(installed())} packages")

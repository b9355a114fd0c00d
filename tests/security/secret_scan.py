"""No secret lies in the repository: every tracked file, read by detect-secrets (known patterns, entropy, names).

`python -m tests.security.secret_scan` prints what it finds and ends with 1 where it finds something. What looks like a
secret and is none stands in `ALLOWED`, with the reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

from iotplatform.env import BASE_DIR

__all__ = ["ALLOWED", "Allowed", "Finding", "findings", "tracked", "unexplained"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that looks like a secret: where, of what kind, and the line (of which nothing is printed)."""

    path: str
    line: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Lines matching ``text`` in files matching ``path`` hold no secret of that ``kind``, and why."""

    path: str
    kind: str
    text: str
    why: str


_KEYWORD, _URL, _JWT = "Secret Keyword", "Basic Auth Credentials", "JSON Web Token"

_HEX = "Hex High Entropy String"

ALLOWED = (
    Allowed(
        "deploy/kubernetes/*",
        _KEYWORD,
        r"secretName|secrets|Secret|SECRET_KEY_FILE|defaultMode|^#",
        "names of secrets, no values",
    ),
    Allowed("iotplatform/backup/make.py", _KEYWORD, r"secret-key.age", "a file's name"),
    Allowed("tests/*trac*", _HEX, r"", "ids of made-up traces, from the specification of traceparent"),
    Allowed("*", _URL, r"//(iot:secret|user:password)@", "how such an address looks, in help texts and documents"),
    Allowed("*", _KEYWORD, r"at least 16 characters", "says how long a secret has to be"),
    Allowed("iotplatform/*", _KEYWORD, r'"(Give the new user a password\.|new|password)"', "words, no values"),
    Allowed("tests/*", _KEYWORD, r"", "passwords of people who exist for the length of a test"),
    Allowed("tests/*", _URL, r"//(ann|iot|user):(pw|p%40ss|hunter2)@", "the same, in addresses"),
    Allowed(
        "tests/iotplatform/observability/test_logs.py", _JWT, r"e30\.abc", "an empty token that is to be blackened"
    ),
)

#: Digests of npm's packages are random by nature, and long; the archive of a picture is no text.
_LEFT_OUT = ("*package-lock.json", "*.png", "*.ico", "*.woff2", "*.gz", "*.parquet")
_PLUGINS = [
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "KeywordDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
]
_SETTINGS = {
    "plugins_used": [
        *({"name": name} for name in _PLUGINS),
        {"name": "Base64HighEntropyString", "limit": 4.5},
        {"name": "HexHighEntropyString", "limit": 3.0},
    ],
    "filters_used": [
        {"path": f"detect_secrets.filters.heuristic.{name}"}
        for name in ("is_sequential_string", "is_potential_uuid", "is_templated_secret", "is_not_alphanumeric_string")
    ],
}


def tracked(folder: Path = BASE_DIR) -> list[str]:
    """Paths of every file that git knows below a folder, but for those that cannot be read as text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout.decode()
    return [
        path
        for path in listed.split("\0")
        if path and (folder / path).is_file() and not any(fnmatch(path, pattern) for pattern in _LEFT_OUT)
    ]


def findings(folder: Path, paths: Iterable[str]) -> list[Finding]:
    """Everything in the files that looks like a secret."""
    chosen = sorted(paths)
    shares = [(str(folder), chosen[start::2]) for start in range(2)]
    with ProcessPoolExecutor(2) as pool:
        return [finding for found in pool.map(_scan, shares) for finding in found]


def unexplained(found: Iterable[Finding], allowed: Iterable[Allowed] = ALLOWED) -> Iterator[Finding]:
    """Those that no entry explains."""
    return (finding for finding in found if not any(explains(entry, finding) for entry in allowed))


def explains(entry: Allowed, finding: Finding) -> bool:
    return (
        entry.kind == finding.kind
        and fnmatch(finding.path, entry.path)
        and re.search(entry.text, finding.text) is not None
    )


def _scan(share: tuple[str, list[str]]) -> list[Finding]:
    folder, paths = share
    found = []
    with transient_settings(_SETTINGS):
        for path in paths:
            lines: list[str] = []
            for secret in scan_file(f"{folder}/{path}"):
                lines = lines or (Path(folder) / path).read_text(errors="replace").splitlines()
                # In formats that it takes apart (YAML), the last line may be counted once too often.
                line = min(secret.line_number, len(lines))
                found.append(Finding(path, line, secret.type, lines[line - 1]))
    return found


def main() -> int:
    """Prints where something lies, and never what."""
    paths = tracked()
    trouble = list(unexplained(findings(BASE_DIR, paths)))
    for finding in trouble:
        print(f"{finding.path}:{finding.line}: {finding.kind}")
    print(f"secret scan: {len(paths)} files, {len(trouble)} findings")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())

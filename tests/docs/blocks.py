"""The commands of a document, in their order, with what stands beside them.

A block is fenced as ```sh. Right before it, as comments that no reader sees, may stand:

    <!-- not run: why -->              it is only parsed
    <!-- first: some commands -->      are run before it
    <!-- stays running: until text --> it is left running, and ended with Ctrl-C at the end of the page

A block fenced as ```text right behind it is what it prints; … stands for anything.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from iotplatform.env import BASE_DIR

__all__ = ["DOCUMENTS", "Block", "blocks"]

DOCUMENTS = sorted([*BASE_DIR.glob("*.md"), *(BASE_DIR / "docs").rglob("*.md"), BASE_DIR / "benchmarks/README.md"])
_FENCED = re.compile(
    r"(?P<before>(?:^ *<!--(?:(?!-->).)*-->\n)*)"
    r"^(?P<indent> *)```sh\n(?P<text>.*?)^ *```\n"
    r"(?:\n?^ *```text\n(?P<printed>.*?)^ *```\n)?",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"<!-- *([a-z ]+?)(?:: *(.*?))? *-->", re.DOTALL)
_KINDS = {"not run", "first", "stays running"}


@dataclass(frozen=True)
class Block:
    """Commands as they are printed; ``line`` is where they begin, ``printed`` a pattern of what they say."""

    document: str
    line: int
    text: str
    printed: re.Pattern[str] | None
    not_run: str | None
    first: str
    until: str | None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(path: Path) -> list[Block]:
    """Every block of commands of a document. Raises ValueError for a comment that means nothing."""
    source = path.read_text()
    found = []
    for match in _FENCED.finditer(source):
        said: dict[str, str] = {}
        for kind, rest in _COMMENT.findall(match["before"]):
            if kind not in _KINDS:
                raise ValueError(f"{path.name}: <!-- {kind} --> is not known")
            said[kind] = rest.strip()
        found.append(
            Block(
                document=str(path.relative_to(BASE_DIR)),
                line=source[: match.start("text")].count("\n") + 1,
                text=textwrap.dedent(match["text"]),
                printed=_pattern(match["printed"]),
                not_run=said.get("not run"),
                first=said.get("first", ""),
                until=said["stays running"].removeprefix("until ") if "stays running" in said else None,
            )
        )
    return found


def _pattern(printed: str | None) -> re.Pattern[str] | None:
    if not printed:
        return None
    lines = [line.strip() for line in printed.strip().splitlines()]
    told = [".*?".join(map(re.escape, re.split(" *… *", line))) for line in lines]
    return re.compile(".*?".join(told), re.DOTALL)

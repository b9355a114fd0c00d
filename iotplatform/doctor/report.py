"""Findings for people (80 columns) and for programs (JSON)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from iotplatform.doctor.findings import Finding

__all__ = ["as_json", "is_well", "show"]

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
_WIDEST = 100


def is_well(findings: list[Finding]) -> bool:
    """Nothing fails. Warnings are for people to weigh."""
    return all(finding.level != "fail" for finding in findings)


def as_json(findings: list[Finding]) -> str:
    """``{"ok": …, "findings": [{"about", "level", "text", "mend"}]}``."""
    return json.dumps({"ok": is_well(findings), "findings": [asdict(finding) for finding in findings]}, indent=1)


def show(findings: list[Finding], out: IO[str], width: int | None = None) -> None:
    """A line a finding, what to do below it, and a verdict."""
    console = Console(file=out, width=width, highlight=False)
    console.width = min(console.width, _WIDEST)
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(width=max((len(finding.about) for finding in findings), default=1), no_wrap=True)
    table.add_column(ratio=1)
    for finding in findings:
        sign, colour = _SIGNS[finding.level]
        text = Text(finding.text)
        if finding.level != "ok" and finding.mend:
            text.append(f"\n→ {finding.mend}", style="bold")
        table.add_row(Text(sign, style=colour), Text(finding.about), text)
    console.print(table)
    counts = Counter(finding.level for finding in findings)
    verdict = "All is well" if is_well(findings) else "Something needs mending"
    console.print(f"\n{verdict}: {counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} wrong.")

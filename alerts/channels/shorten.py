"""Cutting a text to what a service takes, at a line, saying how much is missing."""

from __future__ import annotations

__all__ = ["shorten"]


def shorten(text: str, most: int) -> str:
    """At most so many characters; lines that do not fit are counted."""
    if len(text) <= most:
        return text
    lines = text.split("\n")
    kept: list[str] = []
    room = most - len("… and 1000000 more lines: see the list of alerts.")
    for line in lines:
        if len(line) + 1 > room:
            break
        kept.append(line)
        room -= len(line) + 1
    if not kept:
        return text[: most - 1] + "…"
    return "\n".join([*kept, f"… and {len(lines) - len(kept)} more lines: see the list of alerts."])

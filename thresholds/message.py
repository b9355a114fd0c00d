"""The text that a threshold adds to what is sent: a template with a few named fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

__all__ = ["FIELDS", "MAX_LENGTH", "BadTemplate", "check", "render"]

#: What may stand in braces.
FIELDS = ("device", "metric", "value", "unit", "threshold", "severity")
MAX_LENGTH = 2000

_KNOWN = ", ".join(f"{{{name}}}" for name in FIELDS)


class BadTemplate(ValueError):
    """The template cannot be filled in; the text says why and what to write instead."""


def check(template: str) -> None:
    """Raises BadTemplate unless `render` can fill it in.

    Format specifications and attributes are refused: a width such as {value:9999999999} would fill the memory.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise BadTemplate(f"A brace is missing or one too many ({error}); write {{{{ for a brace itself.") from error
    for _, name, specification, conversion in parts:
        if name is None:
            continue
        if name not in FIELDS:
            raise BadTemplate(f"There is no field {{{name}}}; known are {_KNOWN}.")
        if specification or conversion:
            raise BadTemplate(f"Write {{{name}}} without a format: only the plain fields {_KNOWN} are filled in.")


def render(template: str, fields: Mapping[str, str]) -> str:
    """The template with its fields filled in; ``fields`` has all of FIELDS. Raises BadTemplate."""
    check(template)
    return "".join(
        text + (fields[name] if name is not None else "") for text, name, _, _ in Formatter().parse(template)
    )

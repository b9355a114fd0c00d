"""YAML without surprises: what is written as text stays text.

The library follows YAML 1.1, where 18:00 is the number 1080, `no` is false and 2026-11-21 a date. Here only null, true,
false and numbers are anything but text (as in YAML 1.2's core schema), and aliases, which let a short text stand for an
endless one, are refused. Pure.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["load"]

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise yaml.composer.ComposerError(None, None, "an alias: write it out instead", event.start_mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|false)\Z"), ["t", "f"])
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))
_Loader.add_constructor(f"{_TAG}int", lambda _, node: int(node.value))
_Loader.add_constructor(f"{_TAG}float", lambda _, node: float(node.value))


def load(text: str) -> Any:
    """What the text says. Raises yaml.YAMLError, ValueError."""
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader  # nosec B506

"""The API reference as one Markdown page, made from the OpenAPI description that the platform itself writes.

Pure but for `described()`, which runs `manage.py spectacular` without any server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["described", "page"]

_PROJECT = Path(__file__).parents[1]
_METHODS = ("get", "post", "put", "patch", "delete")
_SECONDS = 120

Schema = dict[str, Any]


def described() -> Schema:
    """The platform's OpenAPI description. Raises CalledProcessError with its words if it cannot be made."""
    with tempfile.TemporaryDirectory() as run_dir:
        # The settings want to know servers; none is spoken to.
        servers = {"DATABASE_URL": "postgresql://docs@/docs", "REDIS_URL": "redis://docs", "RUN_DIR": run_dir}
        line = [sys.executable, "manage.py", "spectacular", "--format", "openapi-json"]
        done = subprocess.run(  # noqa: S603
            line, cwd=_PROJECT, env=os.environ | servers, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    described: Schema = json.loads(done.stdout)
    return described


def page(api: Schema, preface: str) -> str:
    """Markdown: the preface, every operation under its tag, then the objects that bodies are made of."""
    return "\n".join([preface, *_operations(api), "## Objects", "", *_objects(api)])


def _operations(api: Schema) -> Iterator[str]:
    known = [
        (operation["tags"][0], path, method, operation)
        for path, item in api["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    ]
    known.sort(key=lambda each: (each[0], each[1], _METHODS.index(each[2])))
    for tag, group in groupby(known, key=lambda each: each[0]):
        yield f"## {tag.replace('-', ' ').capitalize()}\n"
        for _, path, method, operation in group:
            yield from _operation(path, method, operation)


def _operation(path: str, method: str, operation: Schema) -> Iterator[str]:
    # In backticks, or Markdown would read {id} as attributes of the heading.
    yield f"### `{method.upper()} {path}`\n"
    yield operation.get("description", "") + "\n"
    rows = [_parameter(each) for each in operation.get("parameters", [])]
    if rows:
        yield from _table(("parameter", "in", "type", "meaning"), rows)
    if body := operation.get("requestBody"):
        yield f"Body: {_media(body['content'])}\n"
    answers = [
        (f"`{status}`" if status != "default" else "else", _one_line(answer.get("description", "")), _media(content))
        for status, answer in operation.get("responses", {}).items()
        for content in [answer.get("content", {})]
    ]
    yield from _table(("answer", "meaning", "body"), answers)


def _parameter(parameter: Schema) -> tuple[str, ...]:
    name = f"`{parameter['name']}`" + (" (needed)" if parameter.get("required") else "")
    return name, parameter["in"], _type(parameter.get("schema", {})), _one_line(parameter.get("description", ""))


def _media(content: Schema) -> str:
    shapes: dict[str, list[str]] = {}
    for kind, media in content.items():
        shapes.setdefault(_type(media.get("schema", {})), []).append(f"`{kind}`")
    return "; ".join(f"{shape} as {', '.join(kinds)}" for shape, kinds in shapes.items()) or "none"


def _objects(api: Schema) -> Iterator[str]:
    for name, schema in sorted(api["components"]["schemas"].items()):
        yield f"### {name}\n"
        if text := schema.get("description"):
            yield text + "\n"
        if choices := schema.get("enum"):
            yield "One of " + ", ".join(f"`{choice}`" for choice in choices) + ".\n"
        needed = schema.get("required", [])
        rows = [
            (f"`{field}`", _type(shape), _notes(shape, field in needed), _one_line(shape.get("description", "")))
            for field, shape in schema.get("properties", {}).items()
        ]
        if rows:
            yield from _table(("field", "type", "", "meaning"), rows)


def _notes(shape: Schema, needed: bool) -> str:
    said = [
        "needed" * needed,
        "read only" * bool(shape.get("readOnly")),
        "write only" * bool(shape.get("writeOnly")),
        "may be null" * bool(shape.get("nullable")),
    ]
    if "default" in shape:
        said.append(f"default `{json.dumps(shape['default'])}`")
    return ", ".join(filter(None, said))


def _type(schema: Schema) -> str:
    """A schema in a few words, with links to objects of their own."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    name = schema.get("title") or schema.get("format") or kind
    return " ".join([str(name), *bounds])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""


def _one_line(text: str) -> str:
    return " ".join(text.split())

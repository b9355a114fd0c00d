"""Thresholds as a file, JSON or YAML, to be kept beside code or carried to another platform.

    format: iot-thresholds
    version: 1
    thresholds:
      - id: 12
        name: Bearing hot
        …

Each threshold is in its REST form. ``id`` and ``overrides`` are the file's own numbers: they only tie its thresholds
together. Importing a file changes the threshold that has the same name, scope and metric, and makes what is not there;
nothing is deleted. So importing it twice changes nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.db import transaction
from rest_framework import serializers

from telemetry.sight import of_visible_scopes
from thresholds import edit, plain_yaml
from thresholds.api.serializers import ThresholdSerializer, as_errors
from thresholds.definition import Known, override_faults
from thresholds.document import document
from thresholds.models import Threshold

__all__ = ["FORMAT", "MAX_THRESHOLDS", "VERSION", "Imported", "Unreadable", "bundle", "dump", "load", "take"]

FORMAT = "iot-thresholds"
VERSION = 1
MAX_THRESHOLDS = 1000


class Unreadable(ValueError):
    """The text is no JSON or YAML, or no bundle; says what to do."""


@dataclass(slots=True)
class Imported:
    """Ids of the thresholds by what became of them."""

    created: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)


def bundle(chosen: Iterable[Threshold], user: Any = None) -> dict[str, Any]:
    """The file's content; what a chosen threshold overrides comes along, so that the file stands alone, as far as the user
    sees it (None: the platform itself)."""
    rows = {threshold.pk: threshold for threshold in chosen}
    seen = of_visible_scopes(edit.thresholds(), user)
    hidden: set[int | None] = {None}
    while missing := {row.overrides_id for row in rows.values()} - set(rows) - hidden:
        found = {row.pk: row for row in seen.filter(pk__in=missing)}
        rows |= found
        hidden |= missing - set(found)
    listed = [{"id": number, **document(rows[number])} for number in sorted(rows)]
    for item in listed:
        if item["overrides"] in hidden:
            item["overrides"] = None
    return {"format": FORMAT, "version": VERSION, "thresholds": listed}


def dump(content: Mapping[str, Any], form: str) -> str:
    """The text of a bundle; ``form`` is "json" or "yaml"."""
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)


def load(text: str, form: str | None = None) -> Any:
    """The content of a file of that form; without one, JSON where it begins as JSON does. Raises Unreadable."""
    if form is None:
        form = "json" if text.lstrip().startswith(("{", "[")) else "yaml"
    try:
        return json.loads(text) if form == "json" else plain_yaml.load(text)
    except RecursionError as error:
        raise Unreadable("It is nested too deeply.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise Unreadable(f"This is not {form.upper()}: {error}") from error


@transaction.atomic
def take(content: Any, user: Any, *, dry_run: bool = False) -> Imported:
    """Import a bundle, all of it or nothing; ``dry_run``: only say what would become of it.

    Raises ValidationError: by item for what is wrong with a threshold, by field for the file as a whole.
    """
    edit.hold_edits()
    items = _items(content)
    checked = _checked(items, user)
    found = _matching(checked)
    _check_overrides(items, checked)
    imported = _write(items, checked, found, user)
    if dry_run:
        transaction.set_rollback(True)
    return imported


def _items(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, list):
        content = {"thresholds": content}
    if not isinstance(content, Mapping) or not isinstance(content.get("thresholds"), list):
        _refuse(None, 'Give an object with a list of thresholds: {"thresholds": […]}, as the export writes it.')
    if content.get("format", FORMAT) != FORMAT:
        _refuse("format", f"Give {FORMAT!r}, or leave it out: this is a file of something else.")
    if content.get("version", VERSION) != VERSION:
        _refuse("version", f"Give {VERSION}, or leave it out: other versions cannot be read here.")
    items = content["thresholds"]
    if not 1 <= len(items) <= MAX_THRESHOLDS:
        _refuse("thresholds", f"Give 1 to {MAX_THRESHOLDS:,} thresholds; cut a longer file in parts.")
    return items


def _checked(items: list[Any], user: Any) -> list[dict[str, Any]]:
    """Every threshold by itself, its scope as rows."""
    errors: list[Any] = []
    checked = []
    for item in items:
        own = (
            {name: value for name, value in item.items() if name != "overrides"} if isinstance(item, Mapping) else item
        )
        serializer = ThresholdSerializer(data=own, context={"viewer": user})
        serializer.is_valid()
        errors.append(serializer.errors | _reference_errors(item))
        checked.append(serializer.validated_data)
    if any(errors):
        raise serializers.ValidationError(errors)
    return checked


def _reference_errors(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {}
    return {
        name: [serializers.ErrorDetail("Give a number: it ties the thresholds of this file together.", "invalid")]
        for name in ("id", "overrides")
        if item.get(name) is not None and (type(item[name]) is not int or item[name] < 0)
    }


def _matching(checked: list[dict[str, Any]]) -> list[Threshold | None]:
    """The stored threshold that each is: of the same name, scope and metric."""
    stored: dict[Any, list[Threshold]] = {}
    for threshold in edit.thresholds().filter(name__in={item["name"] for item in checked}):
        stored.setdefault(_identity(document(threshold) | _scope_ids(threshold)), []).append(threshold)
    errors: list[dict[str, Any]] = []
    found: list[Threshold | None] = []
    seen: set[Any] = set()
    for item in checked:
        ((kind, row),) = item["scope"].items()
        identity = _identity(item | {"scope": {kind: getattr(row, "pk", True)}})
        matches = stored.get(identity, [])
        errors.append({})
        if identity in seen:
            errors[-1] = _error("name", "Another one in this file has the same name, scope and metric.", "unique")
        elif len(matches) > 1:
            ids = ", ".join(str(match.pk) for match in matches)
            errors[-1] = _error(
                "name", f"Thresholds {ids} all have this name, scope and metric: rename one first.", "ambiguous"
            )
        seen.add(identity)
        found.append(matches[0] if matches else None)
    if any(errors):
        raise serializers.ValidationError(errors)  # type: ignore[arg-type]
    return found


def _identity(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return (item["name"], *item["scope"].items(), item["metric"])


def _scope_ids(threshold: Threshold) -> dict[str, Any]:
    ids = {"device": threshold.device_id, "device_type": threshold.device_type_id, "group": threshold.group_id}
    named = {kind: number for kind, number in ids.items() if number is not None}
    return {"scope": named or {"all": True}}


def _check_overrides(items: list[Any], checked: list[dict[str, Any]]) -> None:
    """Numbers of the file name each other. (Metrics stay as they are, so those beyond the file go on to fit.)"""
    numbers = [_number(items, place) for place in range(len(items))]
    places = {number: place for place, number in enumerate(numbers)}
    if len(places) < len(items):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        _refuse("thresholds", f"Two of them have the id {twice}: each needs its own.", "unique")

    def known(number: int) -> Known | None:
        place = places.get(number)
        if place is None:
            return None
        return Known(checked[place]["name"], checked[place]["metric"], items[place].get("overrides"))

    errors: list[Any] = []
    for place, item in enumerate(items):
        wanted = checked[place] | {"overrides": item.get("overrides")}
        faults = override_faults(numbers[place], wanted, known, {})
        errors.append(as_errors(_told_of_file(fault) for fault in faults))
    if any(errors):
        raise serializers.ValidationError(errors)


def _number(items: list[Any], place: int) -> int:
    """The file's number of a threshold; one without has a number that nothing can name."""
    number = items[place].get("id")
    return -1 - place if number is None else int(number)


def _told_of_file(fault: Any) -> Any:
    if fault.code != "does_not_exist":
        return fault
    return fault._replace(detail="No threshold of this file has that id: add it to the file, or leave overrides out.")


def _write(items: list[Any], checked: list[dict[str, Any]], found: list[Threshold | None], user: Any) -> Imported:
    """Overridden ones first, so that the others can name them."""
    imported = Imported()
    ids: dict[int, int] = {}
    places = {_number(items, place): place for place in range(len(items))}
    for place in _in_order(items, places):
        overrides = items[place].get("overrides")
        wanted = checked[place] | {"overrides": None if overrides is None else ids[overrides]}
        stored = found[place]
        if stored is None:
            made = edit.create(wanted, user)
            imported.created.append(made.pk)
        else:
            made = edit.change(stored.pk, wanted, user)
            same = made.updated_at == stored.updated_at
            (imported.unchanged if same else imported.changed).append(made.pk)
        ids[_number(items, place)] = made.pk
    return imported


def _in_order(items: list[Any], places: Mapping[int, int]) -> list[int]:
    """Places of the items, each behind what it overrides; there is no circle any more."""
    ordered: dict[int, None] = {}
    for place in range(len(items)):
        chain: list[int] = []
        at: int | None = place
        while at is not None and at not in ordered:
            chain.append(at)
            overrides = items[at].get("overrides")
            at = None if overrides is None else places[overrides]
        ordered |= dict.fromkeys(reversed(chain))
    return list(ordered)


def _error(name: str, detail: str, code: str) -> dict[str, Any]:
    return {name: [serializers.ErrorDetail(detail, code)]}


def _refuse(name: str | None, detail: str, code: str = "invalid") -> Any:
    raise serializers.ValidationError({name: detail} if name else detail, code)

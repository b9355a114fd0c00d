"""The settings of a channel: what may be shown in `config`, what may not encrypted in `secret`. For API and admin alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.channels import KINDS, ChannelKind, Field, FieldProblems
from alerts.models import Channel
from alerts.secrets import SecretUnreadable, decrypt, encrypt

__all__ = ["address", "apply_settings", "secrets_set", "shown_settings"]

_MAX_TEXT = 2000
_MAX_LIST = 100
#: What a setting is that was never made.
_EMPTY: dict[str, Any] = {"text": "", "emails": [], "flag": False}


def shown_settings(channel: Channel) -> dict[str, Any]:
    """The settings that are not secret, all of them."""
    kind = KINDS.get(channel.kind)
    fields = kind.fields if kind else ()
    return {field.name: channel.config.get(field.name, _EMPTY[field.type]) for field in fields if not field.secret}


def secrets_set(channel: Channel) -> list[str]:
    """Names of the secret settings that are set; empty where they cannot be read any more."""
    try:
        return sorted(decrypt(channel.secret))
    except SecretUnreadable:
        return []


def address(channel: Channel) -> str:
    """Where it leads, without anything secret."""
    kind = KINDS.get(channel.kind)
    if kind is None:
        return ""
    try:
        return kind.address({**channel.config, **decrypt(channel.secret)})
    except SecretUnreadable as error:
        return str(error)


def apply_settings(channel: Channel, given: Mapping[str, Any]) -> list[str]:
    """Put new settings into the channel (not saved yet): those that are left out stay, None removes one.

    Answers the names of the secrets that changed. Raises FieldProblems.
    """
    kind = KINDS.get(channel.kind)
    if kind is None:
        raise FieldProblems({"kind": f"Say one of {', '.join(KINDS)}."})
    fields = {field.name: field for field in kind.fields}
    problems = _unknown(given, kind, fields)
    try:
        before = decrypt(channel.secret)
    except SecretUnreadable:
        before = {}
    settings = {**shown_settings(channel), **before}
    for name, field in fields.items():
        if name in given:
            problem, settings[name] = _read(field, given[name])
            if problem:
                problems[name] = problem
    for name, field in fields.items():
        if field.required and not settings.get(name):
            problems.setdefault(name, f"{field.label} is needed. {field.help}".strip())
    if problems:
        raise FieldProblems(problems)
    kind.check(settings)
    after = {name: settings[name] for name, field in fields.items() if field.secret and settings.get(name)}
    channel.config = {name: settings[name] for name, field in fields.items() if not field.secret}
    if after != before or not before:
        channel.secret = encrypt(after)
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _unknown(given: Mapping[str, Any], kind: ChannelKind, fields: Mapping[str, Field]) -> dict[str, str]:
    known = ", ".join(fields)
    return {str(name): f"{kind.label} knows {known}." for name in given if name not in fields}


def _read(field: Field, value: Any) -> tuple[str, Any]:
    """(what is wrong with it, the value)."""
    empty = _EMPTY[field.type]
    if value is None:
        return "", empty
    if field.type == "flag":
        return ("", value) if isinstance(value, bool) else ("Say true or false.", empty)
    if field.type == "emails":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or len(value) > _MAX_LIST:
            return f"Give a list of at most {_MAX_LIST} email addresses.", empty
        return "", list(dict.fromkeys(each.strip() for each in value if each.strip()))
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not _storable(value):
        return f"Give a text of at most {_MAX_TEXT} characters.", empty
    return "", value.strip()


def _storable(text: str) -> bool:
    """No NUL, and no half of a surrogate pair."""
    return "\x00" not in text and not any(0xD800 <= ord(character) <= 0xDFFF for character in text)

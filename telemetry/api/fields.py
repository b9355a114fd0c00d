"""Serializer fields that are stricter than the framework's, and say what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

__all__ = ["FiniteFloatField", "LabelsField", "NamedField", "OffsetDateTimeField", "StrictSerializer", "viewer_of"]

MAX_LABELS = 64
#: Who asks → what of a kind that person sees (`telemetry.sight`).
Seen = Callable[[Any], QuerySet[Any]]


def viewer_of(context: Mapping[str, Any]) -> Any:
    """Who gave what a serializer reads; None is the platform itself."""
    request = context.get("request")
    return context.get("viewer") if request is None else request.user


class FiniteFloatField(serializers.FloatField):
    """A finite number: the framework's own field lets "nan", 1e400 and true through."""

    default_error_messages = {"invalid": "Say a finite number."}

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class OffsetDateTimeField(serializers.DateTimeField):
    """An ISO 8601 time that says its offset, so that nobody has to guess the zone."""

    default_error_messages = {
        "no_offset": "The time needs an offset: end it with Z for UTC, or with one such as +01:00.",
        "invalid": "Say an ISO 8601 time, such as 2026-11-21T10:00:00Z.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            self.fail("no_offset")
        return super().enforce_timezone(value)


class NamedField(serializers.SlugRelatedField):
    """Another thing by its name (or path), where the message says how to make it."""

    default_error_messages = {
        "invalid": "Say a name, or null.",
        "does_not_exist": "There is no {kind} {value!r}; make it first with POST /api/v1/{route}.",
    }

    def __init__(self, kind: str, route: str, seen: Seen | None = None, **kwargs: Any) -> None:
        self.kind, self.route, self.seen = kind, route, seen
        if seen is not None:
            kwargs["queryset"] = seen(None)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> models.Model:
        return self.named(data, viewer_of(self.context))

    def named(self, data: Any, viewer: Any) -> models.Model:
        """The thing of that name, among those that this person sees. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        known = None if "\x00" in data else self._find(data, viewer)
        if known is None:
            self.fail("does_not_exist", kind=self.kind, route=self.route, value=data)
        return known

    def _find(self, name: str, viewer: Any) -> models.Model | None:
        queryset: Any = self.get_queryset() if self.seen is None else self.seen(viewer)
        try:
            found: models.Model | None = queryset.filter(**{self.slug_field: name}).first()
        except UnicodeEncodeError:  # half of a surrogate pair: no stored name has it
            return None
        return found


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}, "example": {"site": "north"}})
class LabelsField(serializers.DictField):
    """Labels: an object of texts, at most 64. A key has no colon, so that `label=key:value` can ask for it."""

    child = serializers.CharField(max_length=200, allow_blank=True, trim_whitespace=False)
    default_error_messages = {
        "not_a_dict": 'Labels are an object of texts, for example {{"site": "north"}}.',
        "bad_key": "A label's key has 1 to 100 characters and no colon.",
        "too_many": f"A device has at most {MAX_LABELS} labels.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if isinstance(data, Mapping):
            if len(data) > MAX_LABELS:
                self.fail("too_many")
            for key in data:
                if not 1 <= len(key) <= 100 or ":" in key or not _storable(key):
                    self.fail("bad_key")
        return dict(super().to_internal_value(data))


def _storable(text: str) -> bool:
    return "\x00" not in text and text.isprintable()


class StrictSerializer(serializers.ModelSerializer):
    """Refuses fields it does not know, so that a misspelt one is not ignored in silence."""

    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.FloatField: FiniteFloatField,
        models.DateTimeField: OffsetDateTimeField,
    }

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := [name for name in data if name not in self.fields]):
            detail = f"There is no such field; known are {', '.join(self.fields)}."
            raise serializers.ValidationError(dict.fromkeys(unknown, detail), "unknown_field")
        return super().to_internal_value(data)

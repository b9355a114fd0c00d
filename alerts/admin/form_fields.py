"""Fields that people type into: labels and addresses, a line each."""

from __future__ import annotations

from typing import Any

from django import forms
from rest_framework.serializers import ValidationError as RestError
from unfold.widgets import UnfoldAdminTextareaWidget

from telemetry.api.fields import LabelsField as RestLabels

__all__ = ["LabelsField", "LinesField"]


class LinesField(forms.CharField):
    """A list of texts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value) or ""
        return [line.strip() for line in text.replace(",", "\n").split("\n") if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))


class LabelsField(forms.CharField):
    """Labels as "site: north", a line each."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 2, "placeholder": "site: north", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{key}: {text}" for key, text in value.items()) if isinstance(value, dict) else value

    def clean(self, value: Any) -> Any:
        found = {}
        for line in (super().clean(value) or "").split("\n"):
            if not line.strip():
                continue
            key, colon, text = line.partition(":")
            if not colon or not key.strip():
                raise forms.ValidationError(f'Write "{line.strip()}" as key: value, such as site: north.')
            found[key.strip()] = text.strip()
        try:
            return RestLabels().run_validation(found)
        except RestError as error:
            raise forms.ValidationError([str(each) for each in _flat(error.detail)]) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))


def _flat(detail: Any) -> list[Any]:
    if isinstance(detail, dict):
        return [each for inner in detail.values() for each in _flat(inner)]
    return [each for inner in detail for each in _flat(inner)] if isinstance(detail, list) else [detail]

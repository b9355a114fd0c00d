"""Fields of the form that people type into: durations, and the windows of a schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from thresholds.duration_text import read_duration
from thresholds.quantities import duration
from thresholds.schedule_text import BadWindows, read_windows, write_windows

__all__ = ["DurationField", "SuggestionsWidget", "WindowsField"]


class DurationField(forms.CharField):
    """Seconds, shown and typed as "5 min". Empty is None, or 0 where ``empty`` says so."""

    def __init__(self, *, empty: float | None = None, **kwargs: Any) -> None:
        self._empty = empty
        super().__init__(required=False, max_length=100, widget=UnfoldAdminTextInputWidget(), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, int | float):
            return duration(value) if value != self._empty else ""
        return value

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return self._empty
        try:
            return read_duration(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)


class WindowsField(forms.CharField):
    """Windows of a schedule, a line each."""

    def __init__(self, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(
            attrs={"rows": 3, "class": "font-mono", "placeholder": "mon-fri 08:00-18:00", "spellcheck": "false"}
        )
        super().__init__(required=False, max_length=2000, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return write_windows(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        try:
            return read_windows(super().clean(value) or "")
        except BadWindows as error:
            raise forms.ValidationError(error.problems) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))


class SuggestionsWidget(UnfoldAdminTextInputWidget):
    """A text field that suggests what is known, and takes anything."""

    def __init__(self, known: Callable[[], Iterable[str]], attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self._known = known

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        listed = f"{(attrs or {}).get('id', name)}-known"
        field = super().render(name, value, {**(attrs or {}), "list": listed}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((each,) for each in self._known()))
        return format_html('{}<datalist id="{}">{}</datalist>', field, listed, options)

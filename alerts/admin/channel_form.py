"""The form of a channel: made from the fields of its kind. Secrets go in, and are never shown again."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from alerts.admin.form_fields import LinesField
from alerts.channel_settings import apply_settings, secrets_set, shown_settings
from alerts.channels import KINDS, Field, FieldProblems
from alerts.models import Channel

__all__ = ["ChannelForm", "channel_form"]

#: Settings stand in the form beside the channel's own fields.
PREFIX = "setting_"


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    kind_name: ClassVar[str] = ""

    class Meta:
        model = Channel
        fields = ["name", "enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changed_secrets: list[str] = []
        self.instance.kind = self.instance.kind or self.kind_name
        if self.instance.pk is None:
            return
        for name, value in shown_settings(self.instance).items():
            self.initial[PREFIX + name] = value
        for name in secrets_set(self.instance):
            if field := self.fields.get(PREFIX + name):
                field.widget.attrs["placeholder"] = "is set; leave empty to keep it"

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        given = {}
        for field in KINDS[self.kind_name].fields:
            if PREFIX + field.name not in cleaned:
                continue
            value = cleaned[PREFIX + field.name]
            # An empty secret stays as it was; it cannot be shown to be left alone.
            if not field.secret or value:
                given[field.name] = value
        try:
            self.changed_secrets = apply_settings(self.instance, given)
        except FieldProblems as error:
            for name, detail in error.problems.items():
                self.add_error(PREFIX + name if PREFIX + name in self.fields else None, detail)
        return cleaned


def channel_form(kind_name: str) -> type[ChannelForm]:
    """The form of this kind of channel."""
    fields = {PREFIX + field.name: _form_field(field) for field in KINDS[kind_name].fields}
    return type("ChannelForm", (ChannelForm,), {"kind_name": kind_name, **fields})


def _form_field(field: Field) -> forms.Field:
    texts: dict[str, Any] = {"label": field.label, "help_text": field.help}
    if field.type == "emails":
        return LinesField(**texts)
    if field.type == "flag":
        return forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget(), **texts)
    if field.secret:
        # Browsers would else offer, or store, the operator's own password.
        widget: Any = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False)
    else:
        widget = UnfoldAdminTextInputWidget()
    return forms.CharField(required=False, max_length=2000, widget=widget, **texts)

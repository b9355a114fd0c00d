"""What people do on the page of an alert."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from alerts import actions
from alerts.actions import Outcome
from alerts.assignees import assignees

__all__ = ["ActionForm"]

_ACTIONS = ("acknowledge", "assign", "comment", "resolve")


class ActionForm(forms.Form):
    """One form with a button for each action; the words go with any of them."""

    do = forms.ChoiceField(choices=[(name, name) for name in _ACTIONS])
    text = forms.CharField(
        required=False,
        max_length=10_000,
        label="Note",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "What you found, or what you do about it"}),
    )
    assignee: Any = forms.ModelChoiceField(
        queryset=None, required=False, empty_label="nobody", label="Assignee", widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, may_change: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["assignee"].queryset = assignees() if may_change else get_user_model().objects.none()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        said = self.cleaned_data
        if said.get("do") == "comment" and not said.get("text"):
            self.add_error("text", "Say what the comment is.")
        return said

    def act(self, alert_id: int, user: Any) -> Outcome:
        """Do what was asked for."""
        said = self.cleaned_data
        match said["do"]:
            case "acknowledge":
                return actions.acknowledge([alert_id], user, said["text"])
            case "assign":
                return actions.assign([alert_id], user, said["assignee"])
            case "comment":
                return actions.comment([alert_id], user, said["text"])
        return actions.resolve([alert_id], user, said["text"])

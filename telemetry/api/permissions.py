"""What a user may do: Django's model permissions, asked on every route; and, of a token, its scopes too.

A view says with ``required_scopes`` which scope a token needs (see `telemetry.scopes`). A view that does not say is
closed to everybody, so that none is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request

from telemetry.scopes import needed, scopes_of
from telemetry.sight import sees_everything

if TYPE_CHECKING:  # the framework's views read their permissions from here
    from rest_framework.views import APIView

__all__ = ["ChangePermission", "MayIssueWideKeys", "ModelPermissions", "Scoped", "UnrestrictedToChange"]

_VIEW = ["%(app_label)s.view_%(model_name)s"]


class Scoped:
    """Mixed into every permission class: refuses tokens without the scope, and views that name none."""

    message = "You do not have permission to perform this action."

    def has_scope(self, request: Request, view: APIView) -> bool:
        """Whether what was sent may be used here at all; `message` says why not."""
        method = request.method or ""
        if getattr(view, "required_scopes", None) is None:
            self.message = "This route does not say which scope it needs, so nobody may use it."
            return False
        held = scopes_of(request.auth)
        if held is None or not hasattr(view, method.lower()):  # what it does not take is answered 405
            return True
        wanted = needed(view, method)
        if held.intersection(wanted):
            return True
        self.message = f"This token lacks the scope: {' or '.join(wanted)}. Ask for one that has it."
        return False


class ModelPermissions(Scoped, DjangoModelPermissions):
    """view for reading, add for POST, change for PATCH and PUT, delete for DELETE, of the model of the view."""

    perms_map = DjangoModelPermissions.perms_map | {"GET": _VIEW, "HEAD": _VIEW}

    def has_permission(self, request: Request, view: APIView) -> bool:
        # The scope first: the other one looks at the view's rows, which may not be there.
        return self.has_scope(request, view) and super().has_permission(request, view)


class ChangePermission(ModelPermissions):
    """For actions on a thing that exists: POST asks for change instead of add."""

    perms_map = ModelPermissions.perms_map | {"POST": ModelPermissions.perms_map["PATCH"]}


class UnrestrictedToChange(ModelPermissions):
    """What concerns the devices of everybody is changed only by who sees all of them."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not super().has_permission(request, view):
            return False
        if request.method in ("GET", "HEAD", "OPTIONS") or sees_everything(request.user):
            return True
        self.message = "This concerns devices of all groups; you see only those of some."
        return False


class MayIssueWideKeys(ModelPermissions):
    """A key for a group or for all devices is handed out by staff only."""

    message = "Keys for a group or for all devices are handed out by staff who may add keys."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method == "POST" and not getattr(request.user, "is_staff", False):
            return False
        return super().has_permission(request, view)

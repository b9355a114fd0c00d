"""What a user may do: Django's model permissions, asked on every route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request

if TYPE_CHECKING:  # the framework's views read their permissions from here
    from rest_framework.views import APIView

__all__ = ["ChangePermission", "MayIssueWideKeys", "ModelPermissions"]

_VIEW = ["%(app_label)s.view_%(model_name)s"]


class ModelPermissions(DjangoModelPermissions):
    """view for reading, add for POST, change for PATCH and PUT, delete for DELETE, of the model of the view."""

    perms_map = DjangoModelPermissions.perms_map | {"GET": _VIEW, "HEAD": _VIEW}


class ChangePermission(ModelPermissions):
    """For actions on a thing that exists: POST asks for change instead of add."""

    perms_map = ModelPermissions.perms_map | {"POST": ModelPermissions.perms_map["PATCH"]}


class MayIssueWideKeys(ModelPermissions):
    """A key for a group or for all devices is handed out by staff only."""

    message = "Keys for a group or for all devices are handed out by staff who may add keys."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method == "POST" and not getattr(request.user, "is_staff", False):
            return False
        return super().has_permission(request, view)

"""Groups of devices: a tree, in which a group is named by its path, "plant/hall-1"."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidName
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.permissions import SAFE_METHODS

from telemetry.api.audited import AuditedThings
from telemetry.api.errors import Conflict
from telemetry.api.fields import StrictSerializer, viewer_of
from telemetry.api.lookups import find, viewer
from telemetry.groups import make_group
from telemetry.models import DeviceGroup
from telemetry.models.device import valid_name
from telemetry.scopes import MANAGE_DEVICES, looked_at_or
from telemetry.sight import sees_everything, visible_groups

__all__ = ["GroupDetail", "GroupList"]


class GroupPathField(serializers.CharField):
    """Names joined by slashes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=1000, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        path = super().to_internal_value(data)
        for name in path.split("/"):
            try:
                valid_name(name)
            except InvalidName as error:
                raise serializers.ValidationError(f"{name!r}: {error.message}", "invalid_name") from error
            if len(name) > 100:
                raise serializers.ValidationError("Each name in a path has at most 100 characters.", "max_length")
        return path


class GroupSerializer(StrictSerializer):
    """POST makes the groups above it as well; a changed path moves the group with everything below it."""

    path = GroupPathField(help_text="Its place in the tree, such as plant/hall-1.")
    name = serializers.CharField(read_only=True, help_text="The last part of the path.")
    parent: Any = serializers.SlugRelatedField(
        slug_field="path", read_only=True, allow_null=True, help_text="Path of the group above it."
    )

    class Meta:
        model = DeviceGroup
        fields = ["path", "name", "parent"]

    def validate_path(self, path: str) -> str:
        other = DeviceGroup.objects.filter(path=path).first()
        if other is not None and other != self.instance:
            raise serializers.ValidationError("There is a group of this path already.", "unique")
        if isinstance(self.instance, DeviceGroup) and path.startswith(f"{self.instance.path}/"):
            raise serializers.ValidationError("A group cannot lie below itself.")
        if not _lies_below(path, viewer_of(self.context)):
            raise serializers.ValidationError("Say a path below a group that you see.", "out_of_sight")
        return path

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> DeviceGroup:
        return make_group(validated_data["path"])

    @transaction.atomic
    def update(self, instance: DeviceGroup, validated_data: dict[str, Any]) -> DeviceGroup:
        # Paths of a whole branch are written, so no second move may go on at the same time.
        list(DeviceGroup.objects.select_for_update().order_by("pk").values_list("pk"))
        instance.refresh_from_db()
        above, _, name = validated_data.get("path", instance.path).rpartition("/")
        instance.parent, instance.name = make_group(above) if above else None, name
        instance.save()
        return instance


class _Groups(AuditedThings, GenericAPIView):
    """What both views share."""

    queryset = DeviceGroup.objects.all()
    serializer_class = GroupSerializer
    required_scopes = looked_at_or(MANAGE_DEVICES)

    def get_queryset(self) -> QuerySet[DeviceGroup]:
        return visible_groups(viewer(self)).select_related("parent")


class GroupList(_Groups, ListCreateAPIView):
    """Groups, by path."""

    cursor_field = "path"


class GroupDetail(_Groups, RetrieveUpdateDestroyAPIView):
    """One group, by its path."""

    def get_object(self) -> DeviceGroup:
        queryset: QuerySet[DeviceGroup] = self.get_queryset()
        group = find(queryset, "group", path=self.kwargs["path"])
        self.check_object_permissions(self.request, group)
        if self.request.method not in SAFE_METHODS and not _lies_below(group.path, self.request.user):
            raise PermissionDenied("You see this group because it was given to you: only who sees more changes it.")
        return group

    def perform_destroy(self, instance: DeviceGroup) -> None:
        try:
            super().perform_destroy(instance)
        except ProtectedError as error:
            raise Conflict("Devices or groups lie in this group; move or delete them first.") from error


def _lies_below(path: str, user: Any) -> bool:
    """Whether a group of this path lies below one that this person sees."""
    if sees_everything(user):
        return True
    above = path.split("/")[:-1]
    paths = ["/".join(above[: depth + 1]) for depth in range(len(above))]
    return visible_groups(user).filter(path__in=paths).exists()

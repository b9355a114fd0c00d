"""Groups of devices: a tree, in which a group is named by its path, "plant/hall-1"."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidName
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from rest_framework import serializers
from rest_framework.generics import ListCreateAPIView, RetrieveUpdateDestroyAPIView

from telemetry.api.errors import Conflict
from telemetry.api.fields import StrictSerializer
from telemetry.api.lookups import find
from telemetry.groups import make_group
from telemetry.models import DeviceGroup
from telemetry.models.device import valid_name

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


class GroupList(ListCreateAPIView):
    """Groups, by path."""

    queryset = DeviceGroup.objects.select_related("parent")
    serializer_class = GroupSerializer
    cursor_field = "path"


class GroupDetail(RetrieveUpdateDestroyAPIView):
    """One group, by its path."""

    queryset = DeviceGroup.objects.select_related("parent")
    serializer_class = GroupSerializer

    def get_object(self) -> DeviceGroup:
        queryset: QuerySet[DeviceGroup] = self.get_queryset()
        group = find(queryset, "group", path=self.kwargs["path"])
        self.check_object_permissions(self.request, group)
        return group

    def perform_destroy(self, instance: DeviceGroup) -> None:
        try:
            instance.delete()
        except ProtectedError as error:
            raise Conflict("Devices or groups lie in this group; move or delete them first.") from error

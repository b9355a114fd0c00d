"""How a person looks in the API. Passwords go in, and never come out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from iotplatform.access import lockout, people
from iotplatform.access.roles import Role, role_of
from telemetry.api.fields import NamedField, OffsetDateTimeField, StrictSerializer
from telemetry.models import DeviceSight
from telemetry.sight import visible_groups

__all__ = ["MeSerializer", "PasswordSerializer", "RoleSerializer", "UserSerializer"]

_ROLES = [role.value for role in Role]
_MAX_GROUPS = 200


class DeviceGroupsField(serializers.ListField):
    """Paths of the groups whose devices a person sees; null: all devices."""

    child: Any = NamedField("group", "groups", slug_field="path", seen=visible_groups)

    def get_attribute(self, instance: Any) -> Any:
        sight = DeviceSight.objects.filter(user=instance).first()
        return None if sight is None else list(sight.groups.order_by("path"))


class PasswordField(serializers.CharField):
    """Checked as Django checks passwords: long enough, not a common one, not like the name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            write_only=True, max_length=4096, trim_whitespace=False, style={"input_type": "password"}, **kwargs
        )


@extend_schema_field({"type": "string", "maxLength": 254, "description": "An email address, or empty."})
class EmailOrNothing(serializers.EmailField):
    """The framework describes an empty one as an address."""


class UserSerializer(StrictSerializer):
    email = EmailOrNothing(max_length=254, allow_blank=True, required=False)
    active = serializers.BooleanField(source="is_active", required=False, help_text="Whether one may log in.")
    superuser = serializers.BooleanField(source="is_superuser", read_only=True, help_text="Made by command only.")
    role = serializers.ChoiceField(
        choices=_ROLES, required=False, allow_null=True, help_text="null: rights were given singly, in the admin."
    )
    device_groups: Any = DeviceGroupsField(
        required=False, allow_null=True, max_length=_MAX_GROUPS, help_text="Whose devices are seen; null: all."
    )
    password: Any = PasswordField(required=False)
    locked_until: Any = serializers.SerializerMethodField(help_text="After failed logins: until when one has to wait.")
    last_login = OffsetDateTimeField(read_only=True, allow_null=True)
    created_at = OffsetDateTimeField(source="date_joined", read_only=True)

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "first_name",
            "last_name",
            "email",
            "role",
            "device_groups",
            "active",
            "superuser",
            "password",
            "locked_until",
            "last_login",
            "created_at",
        ]
        extra_kwargs = {
            "username": {
                "validators": [
                    *User._meta.get_field("username").validators,
                    UniqueValidator(User.objects.all(), "There is a user of this name already; say another."),
                ]
            }
        }

    def to_representation(self, instance: User) -> dict[str, Any]:
        instance.role = role_of(instance)  # type: ignore[attr-defined]
        return super().to_representation(instance)

    @extend_schema_field(OffsetDateTimeField(allow_null=True))
    def get_locked_until(self, user: User) -> str | None:
        # A page of users asks once.
        context: Any = self.context
        if (locked := context.get("locked")) is None:
            locked = context["locked"] = lockout.locked_names(timezone.now())
        until = locked.get(user.username.casefold())
        return None if until is None else OffsetDateTimeField().to_representation(until)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None and "password" not in attrs:
            raise serializers.ValidationError({"password": "Give the new user a password."}, "required")
        if "password" in attrs:
            stored = self.instance if isinstance(self.instance, User) else User()
            named = {name: attrs.get(name, getattr(stored, name)) for name in ("username", "email")}
            try:
                checked_password(attrs["password"], User(**named))
            except serializers.ValidationError as error:
                raise serializers.ValidationError({"password": error.detail}) from error
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        return self._write(User(), validated_data)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        return self._write(instance, validated_data)

    def _write(self, user: User, values: dict[str, Any]) -> User:
        """In the transaction of the view, which sees to it that an administrator is left."""
        given = {name: values.pop(name) for name in ("role", "device_groups", "password") if name in values}
        for name, value in values.items():
            setattr(user, name, value)
        if "password" in given:
            user.set_password(given["password"])
        user.save()
        if "role" in given:
            people.give_role(user, None if given["role"] is None else Role(given["role"]))
        if "device_groups" in given:
            people.restrict(user, given["device_groups"])
        return User.objects.get(pk=user.pk)


class MeSerializer(UserSerializer):
    """Oneself, with what one may do now."""

    permissions = serializers.SerializerMethodField(help_text="Such as telemetry.view_device.")

    class Meta(UserSerializer.Meta):
        fields = [name for name in UserSerializer.Meta.fields if name not in ("password", "locked_until")]
        fields += ["permissions"]
        read_only_fields = fields

    password: Any = None
    locked_until: Any = None

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_permissions(self, user: User) -> list[str]:
        return sorted(user.get_all_permissions())


class PasswordSerializer(serializers.Serializer[Any]):
    """Of oneself."""

    current = serializers.CharField(write_only=True, max_length=4096, trim_whitespace=False)
    new = PasswordField()

    def validate_new(self, password: str) -> str:
        return checked_password(password, self.context["request"].user)


class RoleSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(choices=_ROLES)
    permissions = serializers.ListField(child=serializers.CharField())
    users = serializers.IntegerField(help_text="How many have it.")


def checked_password(password: str, user: Any) -> str:
    """The password, where it is good enough. Raises ValidationError."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise serializers.ValidationError(error.messages, "weak") from error
    return password

"""How a channel looks in the API. Its secrets go in, and never come out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from alerts.channel_settings import address, apply_settings, secrets_set, shown_settings
from alerts.channels import KINDS, FieldProblems
from alerts.models import Channel
from telemetry.api.fields import StrictSerializer

__all__ = ["ChannelSerializer", "TestedSerializer"]

_CONFIG = {
    "type": "object",
    "additionalProperties": True,
    "description": "Settings of its kind; what is left out stays, null removes. Secret ones are taken but not shown: "
    + "; ".join(
        f"{kind.name}: " + ", ".join(f"{field.name}{' (secret)' if field.secret else ''}" for field in kind.fields)
        for kind in KINDS.values()
    )
    + ".",
    "example": {"url": "https://hooks.example.org/alerts", "secret": "at least 16 characters"},
}


@extend_schema_field(_CONFIG)
class ConfigField(serializers.Field):  # type: ignore[type-arg]
    default_error_messages = {"invalid": "Give an object with the settings of this kind of channel."}

    def get_attribute(self, instance: Channel) -> Channel:
        return instance

    def to_representation(self, value: Channel) -> dict[str, Any]:
        return shown_settings(value)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data


class ChannelSerializer(StrictSerializer):
    kind = serializers.ChoiceField([(kind.name, kind.label) for kind in KINDS.values()])
    config = ConfigField(required=False)
    #: What the audit says beside the channel itself.
    secrets_set = serializers.SerializerMethodField(help_text="Names of its secret settings that are set.")
    address = serializers.SerializerMethodField(help_text="Where it leads, without anything secret.")

    class Meta:
        model = Channel
        fields = [
            "id",
            "name",
            "kind",
            "enabled",
            "config",
            "secrets_set",
            "address",
            "failing_since",
            "last_error",
            "created_at",
        ]
        read_only_fields = ["id", "failing_since", "last_error", "created_at"]
        extra_kwargs = {
            "name": {
                "validators": [
                    UniqueValidator(
                        Channel.objects.all(), "There is a channel of this name already; give this one another."
                    )
                ]
            }
        }

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_secrets_set(self, channel: Channel) -> list[str]:
        return secrets_set(channel)

    def get_address(self, channel: Channel) -> str:
        return address(channel)

    def validate_kind(self, kind: str) -> str:
        if isinstance(self.instance, Channel) and kind != self.instance.kind:
            raise serializers.ValidationError("The kind of a channel cannot change; make another channel.", "fixed")
        return kind

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The settings are looked at as a whole, against what is stored."""
        stored = self.instance if isinstance(self.instance, Channel) else None
        if stored is not None and "config" not in attrs:
            return attrs
        channel = stored or Channel(kind=attrs["kind"])
        given = attrs.pop("config", {})
        try:
            changed = apply_settings(channel, given)
        except FieldProblems as error:
            raise serializers.ValidationError({"config": error.problems}, "invalid") from error
        attrs["config"], attrs["secret"] = channel.config, channel.secret
        # The audit tells that a secret changed, not what it is.
        self.audit_note = {"new_secrets": changed} if changed else {}
        return attrs


class TestedSerializer(serializers.Serializer[Any]):
    """What happened to a test message."""

    ok = serializers.BooleanField()
    detail = serializers.CharField(help_text="What the receiver said, or what went wrong.")
    temporary = serializers.BooleanField(help_text="Of a failure: a real message would be tried again.")
    seconds = serializers.FloatField()

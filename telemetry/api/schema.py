"""The API description: what the framework cannot see for itself.

Readings are taken before Django (`telemetry.gateways.http`), because a serializer has no place on their way. The
views here are never called: they only describe it, with the same means as everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.views import APIView

from telemetry.api.authentication import DeviceKeyAuthentication
from telemetry.api.receipts import RECEIPT

__all__ = ["add_gateway", "add_problems"]

Endpoint = tuple[str, str, str, Callable[..., Any]]

_TIME = {
    "oneOf": [{"type": "string", "example": "2026-11-21T10:00:00.250Z"}, {"type": "number"}],
    "description": "ISO 8601 with offset, or epoch seconds, milliseconds, microseconds or nanoseconds.",
}
_VALUE = {"oneOf": [{"type": "number", "minimum": -1e100, "maximum": 1e100}, {"type": "boolean"}]}
_DEVICE = {"type": "string", "description": "May be left out where the key belongs to one device.", "example": "pump-7"}
_ONE = {
    "type": "object",
    "title": "Reading",
    "required": ["metrics"],
    "properties": {
        "device": _DEVICE,
        "time": _TIME,
        "metrics": {
            "type": "object",
            "additionalProperties": _VALUE,
            "example": {"temperature": 21.5, "running": True},
        },
    },
}
_SERIES = {
    "type": "object",
    "title": "Compact readings",
    "description": "One device, many times; null means no value.",
    "required": ["times", "metrics"],
    "properties": {
        "device": _DEVICE,
        "times": {"type": "array", "items": _TIME},
        "metrics": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {**_VALUE, "nullable": True}},
            "example": {"temperature": [21.5, 21.6]},
        },
    },
}
_MANY = {"type": "array", "items": {"oneOf": [_ONE, _SERIES]}}
_BODY = {
    "oneOf": [
        _ONE,
        _SERIES,
        {**_MANY, "title": "Readings"},
        {"type": "object", "title": "Wrapped readings", "required": ["readings"], "properties": {"readings": _MANY}},
    ]
}


class DeviceKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API description names it."""

    target_class = "telemetry.api.authentication.DeviceKeyAuthentication"
    name = "deviceKey"

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]] | None:  # type: ignore[override]
        """Listed only where a key is of use: on people's routes it is understood, but has no rights."""
        return {self.name: []} if getattr(auto_schema.view, "for_devices", False) else None

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "iot_…", "description": "The key of a device."}


class InputErrorSerializer(serializers.Serializer):
    index = serializers.IntegerField(allow_null=True, help_text="Which item of a list that was sent.")
    field = serializers.CharField(allow_null=True, help_text="Dotted path of the field, such as metrics.temperature.")
    code = serializers.CharField(help_text="Machine-readable reason.")
    detail = serializers.CharField()


class SentSerializer(serializers.Serializer):
    """`accepted` and `rejected` count single values (device, metric, time, value)."""

    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    receipt = serializers.CharField(help_text="Ask GET /api/v1/receipts/{receipt} whether it is stored.")
    errors: Any = InputErrorSerializer(many=True)


class SendReadings(APIView):
    authentication_classes = [DeviceKeyAuthentication]
    for_devices = True

    @extend_schema(
        operation_id="readings_create",
        request={
            "application/json": _BODY,
            "application/vnd.apache.arrow.stream": {
                "type": "string",
                "format": "binary",
                "description": "An Arrow IPC stream: the columns device, time, metric and value, or one column a metric.",
            },
        },
        parameters=[
            OpenApiParameter("wait", float, description="Seconds (at most 5) to hold the answer until stored."),
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key within 24 h gives the same receipt.",
            ),
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"]),
        ],
        responses={
            202: OpenApiResponse(SentSerializer, description="In the log: it will be stored exactly once."),
            200: OpenApiResponse(RECEIPT, description="With `wait`: stored."),
        },
    )
    def post(self, request: object) -> None:
        """Send readings."""


def add_gateway(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Preprocessing hook of drf-spectacular: the routes whose views the framework does not know."""
    path = "/api/v1/readings"
    return [
        *endpoints,
        (path, path, "POST", SendReadings.as_view()),
    ]


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook of drf-spectacular: every operation may answer with a problem document."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = {"description": "A problem (RFC 9457).", "content": content}
    return result


_PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457); for bad input, `errors` says where.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/InputError"}},
    },
}

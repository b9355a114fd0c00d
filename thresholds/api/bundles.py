"""Export and import of thresholds as JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.errors import PayloadTooLarge
from telemetry.api.parsers import MAX_BYTES, BoundedJSONParser
from telemetry.api.permissions import ModelPermissions
from telemetry.scopes import MANAGE_THRESHOLDS, READ_STATS
from telemetry.sight import of_visible_scopes
from thresholds import edit
from thresholds.api.filters import FILTERS, filtered
from thresholds.api.serializers import ThresholdSerializer
from thresholds.bundle import MAX_THRESHOLDS, Unreadable, bundle, dump, load, take
from thresholds.document import FIELDS
from thresholds.models import Threshold

__all__ = ["ExportView", "ImportView"]

_YAML = "application/yaml"


class YAMLParser(BaseParser):
    """YAML of at most 1 MiB."""

    media_type = _YAML

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise PayloadTooLarge(f"The body is larger than the {MAX_BYTES:,} bytes that this route takes.")
        try:
            return load(body.decode(), "yaml")
        except (UnicodeDecodeError, Unreadable) as error:
            raise ParseError(str(error)) from error


class OldYAMLParser(YAMLParser):
    """By the name that YAML had before RFC 9512."""

    media_type = "application/x-yaml"


class TextYAMLParser(YAMLParser):
    """By the name that editors send."""

    media_type = "text/yaml"


class YAMLRenderer(BaseRenderer):
    """Lets a client ask by Accept or ?format=; the view writes the text, errors stay problem documents."""

    media_type = _YAML
    format = "yaml"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        return JSONRenderer().render(data)


class BundledThresholdSerializer(ThresholdSerializer):
    """A threshold as it stands in a file: what a person may set, and nothing that the platform adds."""

    class Meta(ThresholdSerializer.Meta):
        fields = ["id", *("for_" if name == "for" else name for name in FIELDS)]
        read_only_fields: list[str] = []

    # What the base declares beside its fields is not part of a file.
    unit = sentence = late_breaches = None  # type: ignore[assignment]


class BundleSerializer(serializers.Serializer[Any]):
    """`id` and `overrides` are the file's own numbers, which tie its thresholds together."""

    format = serializers.CharField(required=False, default="iot-thresholds")
    version = serializers.IntegerField(required=False, default=1)
    thresholds: Any = BundledThresholdSerializer(many=True, help_text=f"At most {MAX_THRESHOLDS}.")


class ImportedSerializer(serializers.Serializer[Any]):
    """What became of them, or would."""

    dry_run = serializers.BooleanField()
    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    ids: Any = serializers.ListField(
        child=serializers.IntegerField(), help_text="Of those that were made or changed; empty for a dry run."
    )


class ExportView(GenericAPIView):
    """GET /api/v1/thresholds/export."""

    queryset = Threshold.objects.all()
    serializer_class = BundleSerializer
    renderer_classes = [JSONRenderer, YAMLRenderer]
    required_scopes = (READ_STATS, MANAGE_THRESHOLDS)
    pagination_class = None

    @extend_schema(
        parameters=[*FILTERS, OpenApiParameter("format", str, enum=["json", "yaml"])],
        responses={
            (200, "application/json"): BundleSerializer,
            (200, _YAML): OpenApiResponse(BundleSerializer, "The same as YAML."),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Thresholds as a file; those that they override come along."""
        form = request.accepted_renderer.format  # type: ignore[attr-defined]
        seen = of_visible_scopes(edit.thresholds(), request.user)
        text = dump(bundle(filtered(seen, request), request.user), form)
        answer = HttpResponse(text, content_type="application/json" if form == "json" else _YAML)
        answer["Content-Disposition"] = f'attachment; filename="thresholds.{form}"'
        return answer


class ImportPermission(ModelPermissions):
    """An import makes thresholds and changes some."""

    perms_map = ModelPermissions.perms_map | {
        "POST": [*ModelPermissions.perms_map["POST"], *ModelPermissions.perms_map["PATCH"]]
    }


class ImportView(GenericAPIView):
    """POST /api/v1/thresholds/import."""

    queryset = Threshold.objects.all()
    serializer_class = BundleSerializer
    parser_classes = [BoundedJSONParser, YAMLParser, OldYAMLParser, TextYAMLParser]
    permission_classes = [ImportPermission]
    required_scopes = MANAGE_THRESHOLDS

    @extend_schema(
        parameters=[OpenApiParameter("dry_run", bool, description="Only say what would become of it.")],
        responses={200: ImportedSerializer},
    )
    def post(self, request: Request) -> Response:
        """Import thresholds from a file: all of it or nothing.

        Changes the threshold that has the same name, scope and metric, makes what is not there, deletes nothing.
        """
        dry_run = parameters.flag(request, "dry_run") or False
        done = take(request.data, request.user, dry_run=dry_run)
        body = {
            "dry_run": dry_run,
            "created": len(done.created),
            "changed": len(done.changed),
            "unchanged": len(done.unchanged),
            "ids": [] if dry_run else [*done.created, *done.changed],
        }
        return Response(body)

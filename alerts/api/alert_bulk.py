"""One action on many alerts: named by their ids, or by the filters of the list."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import actions
from alerts.actions import Outcome
from alerts.api.alert_actions import BUSY
from alerts.api.alert_filters import FILTERS, narrowed
from alerts.api.alert_serializers import MAX_TEXT, AssignSerializer
from alerts.api.alerts import visible_alerts
from alerts.models import Alert
from telemetry.api.permissions import ChangePermission
from telemetry.scopes import MANAGE_THRESHOLDS

__all__ = ["BulkView"]

#: More at once would hold a web thread for too long; `more` says that the filter matches others still.
MAX_ALERTS = 5_000
_ACTIONS = ("acknowledge", "unacknowledge", "assign", "comment", "resolve")
_KNOWN = [parameter.name for parameter in FILTERS]


class BulkSerializer(AssignSerializer):
    action = serializers.ChoiceField(choices=_ACTIONS)
    ids: Any = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        required=False,
        max_length=MAX_ALERTS,
        help_text="Which alerts; or say `filter`.",
    )
    filter: Any = serializers.DictField(
        required=False,
        help_text=f"As the query of the list: {', '.join(_KNOWN)}; a list where several are meant.",
    )
    text = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_TEXT)

    class Meta:
        model = Alert
        fields = ["action", "ids", "filter", "assignee", "text"]
        extra_kwargs: dict[str, Any] = {}

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        fields["assignee"].required = False
        return fields

    def validate_filter(self, wanted: dict[str, Any]) -> dict[str, Any]:
        unknown = [name for name in wanted if name not in _KNOWN]
        if unknown:
            detail = f"There is no such filter; known are {', '.join(_KNOWN)}."
            raise serializers.ValidationError(dict.fromkeys(unknown, detail), "unknown_field")
        if not wanted:
            raise serializers.ValidationError('Say at least one, such as {"state": "open"}.', "required")
        return wanted

    def validate(self, said: dict[str, Any]) -> dict[str, Any]:
        if ("ids" in said) == ("filter" in said):
            raise serializers.ValidationError({"ids": "Say either ids or a filter."}, "required")
        if said["action"] == "assign" and "assignee" not in said:
            raise serializers.ValidationError({"assignee": "Say a user name, me, or null for nobody."}, "required")
        if said["action"] == "comment" and not said["text"]:
            raise serializers.ValidationError({"text": "Say what the comment is."}, "required")
        return said


class BulkResultSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    result = serializers.ChoiceField(
        choices=["changed", "unchanged", "conflict", "not_found", "busy"],
        help_text="unchanged: it was so already; conflict: somebody else was first, or it is over; busy: try again.",
    )
    detail = serializers.CharField(help_text="Who was first, and when; empty where there is nothing to say.")


class BulkAnswerSerializer(serializers.Serializer):
    changed = serializers.IntegerField()
    results: Any = BulkResultSerializer(many=True)
    more = serializers.BooleanField(help_text=f"The filter matches others beyond {MAX_ALERTS:,}: repeat.")


class BulkView(GenericAPIView):
    queryset = Alert.objects.all()
    serializer_class = BulkSerializer
    permission_classes = [ChangePermission]
    required_scopes = MANAGE_THRESHOLDS

    @extend_schema(operation_id="alerts_bulk", responses={200: BulkAnswerSerializer})
    def post(self, request: Request) -> Response:
        """Acknowledge, take that back, assign, comment or resolve many alerts; answers what became of each."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        ids, more = (said["ids"], False) if "ids" in said else _matching(said["filter"], request)
        seen = set(visible_alerts(request.user, Alert.objects.filter(pk__in=ids)).values_list("pk", flat=True))
        outcome = _ACT[said["action"]]([each for each in ids if each in seen], request.user, said)
        outcome.missing += [each for each in dict.fromkeys(ids) if each not in seen]
        return Response({"changed": len(outcome.changed), "results": _results(outcome), "more": more})


class _Asked:
    """A filter of a body as the query of a list."""

    def __init__(self, wanted: dict[str, Any], user: Any) -> None:
        self.user = user
        self.query_params = QueryDict(mutable=True)
        for name, value in wanted.items():
            self.query_params.setlist(name, [_text(each) for each in (value if isinstance(value, list) else [value])])


def _text(value: Any) -> str:
    """As it would stand in a query; half of a surrogate pair cannot be sent to the database, and matches nothing."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.encode(errors="replace").decode()


def _matching(wanted: dict[str, Any], request: Request) -> tuple[list[int], bool]:
    """The oldest first, so that a repeated call goes on; and whether there are more."""
    try:
        alerts = narrowed(visible_alerts(request.user, Alert.objects.all()), _Asked(wanted, request.user))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"filter": error.detail}) from error
    ids = list(alerts.order_by("pk").values_list("pk", flat=True)[: MAX_ALERTS + 1])
    return ids[:MAX_ALERTS], len(ids) > MAX_ALERTS


_ACT = {
    "acknowledge": lambda ids, user, said: actions.acknowledge(ids, user, said["text"]),
    "unacknowledge": lambda ids, user, said: actions.unacknowledge(ids, user, said["text"]),
    "assign": lambda ids, user, said: actions.assign(ids, user, said["assignee"]),
    "comment": lambda ids, user, said: actions.comment(ids, user, said["text"]),
    "resolve": lambda ids, user, said: actions.resolve(ids, user, said["text"]),
}


def _results(outcome: Outcome) -> list[dict[str, Any]]:
    found = [(each, "changed", "") for each in outcome.changed]
    found += [(each, "unchanged", "") for each in outcome.unchanged]
    found += [(each, "conflict", why) for each, why in outcome.refused.items()]
    found += [(each, "not_found", f"There is no alert {each}.") for each in outcome.missing]
    found += [(each, "busy", BUSY) for each in outcome.busy]
    return [{"id": each, "result": result, "detail": detail} for each, result, detail in sorted(found)]

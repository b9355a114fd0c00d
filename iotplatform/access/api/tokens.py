"""Tokens (JWT) for people's programs: get, refresh, revoke."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.access import events, lockout, tokens
from iotplatform.observability.metrics import client_address
from telemetry.models import AuditEntry
from telemetry.scopes import SCOPES

__all__ = ["Token", "TokenRefresh", "TokenRevoke"]

_Action = AuditEntry.Action


@extend_schema_field(
    {
        "oneOf": [
            {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}},
            {"type": "string", "description": "With spaces between."},
        ],
        "example": ["read:stats", "read:readings"],
    }
)
class ScopesField(serializers.Field):  # type: ignore[type-arg]
    """A list of scopes, or one text with spaces between them."""

    default_error_messages = {
        "invalid": "Give a list of scopes, or one text with spaces between them.",
        "unknown": "There is no scope {scope!r}; known are {known}.",
        "empty": "Name at least one scope, or leave the field out: then it is all that you may have.",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        listed = data.split() if isinstance(data, str) else data
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            self.fail("invalid")
        if not listed:
            self.fail("empty")
        for scope in listed:
            if scope not in SCOPES:
                self.fail("unknown", scope=scope[:100], known=", ".join(SCOPES))
        return list(dict.fromkeys(listed))

    def to_representation(self, value: Any) -> Any:
        return value


class LoginSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})
    scopes = ScopesField(required=False, help_text="What the tokens are for; left out: all that you may have.")


class PairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Good for 15 minutes: Authorization: Bearer <access>.")
    refresh = serializers.CharField(help_text="Good once, for a day.")


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=8192)


class _TokenView(GenericAPIView):
    """For those who have no token, or whose token is over."""

    authentication_classes = []
    permission_classes = [AllowAny]
    #: None is asked for.
    required_scopes = ()

    def checked(self, request: Request) -> dict[str, Any]:
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _answer(pair: tokens.Pair) -> Response:
    return Response({"access": pair.access, "refresh": pair.refresh}, headers={"Cache-Control": "no-store"})


@method_decorator(sensitive_post_parameters(), name="dispatch")
class Token(_TokenView):
    serializer_class = LoginSerializer

    @extend_schema(operation_id="token", responses=PairSerializer)
    def post(self, request: Request) -> Response:
        """Trade a user name and password for an access token and a refresh token.

        Their right is their scopes and, at any moment, what you may do. After several failures it has to wait (429).
        """
        said = self.checked(request)
        user: Any = authenticate(request._request, username=said["username"], password=said["password"])
        if user is None:
            if wait := lockout.wait_of(request):
                raise Throttled(wait, lockout.waiting_text(wait))
            raise AuthenticationFailed("No active account has this user name and password.")
        address = client_address(request._request, settings.PLATFORM.trusted_proxies)
        pair = tokens.issue(user, _scopes(user, said.get("scopes")), address)
        events.token_event(_Action.ISSUED, user, pair.family)
        return _answer(pair)


class TokenRefresh(_TokenView):
    serializer_class = RefreshSerializer

    @extend_schema(operation_id="token_refresh", responses=PairSerializer)
    def post(self, request: Request) -> Response:
        """Trade a refresh token for new tokens. It is good once: used again, all tokens of its login are revoked."""
        try:
            pair = tokens.refresh(self.checked(request)["refresh"])
        except tokens.Reused as error:
            events.token_event(_Action.REUSED, None, error.family)
            raise AuthenticationFailed(str(error)) from error
        except tokens.Refused as error:
            raise AuthenticationFailed(str(error)) from error
        events.token_event(_Action.REFRESHED, pair.family.user, pair.family)
        return _answer(pair)


class TokenRevoke(_TokenView):
    serializer_class = RefreshSerializer

    @extend_schema(operation_id="token_revoke", responses={204: None})
    def post(self, request: Request) -> Response:
        """Log out: the refresh token, and every token of the same login, is good no more."""
        try:
            family = tokens.revoke(self.checked(request)["refresh"])
        except tokens.Refused as error:
            raise AuthenticationFailed(str(error)) from error
        if family is not None:
            events.token_event(_Action.REVOKED, family.user, family)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _scopes(user: Any, wanted: list[str] | None) -> list[str]:
    """What was asked for, where the user may have it."""
    allowed = tokens.allowed_scopes(user)
    if wanted is None:
        return allowed
    if beyond := [scope for scope in wanted if scope not in allowed]:
        detail = f"You may not have {', '.join(beyond)}; what you may do allows {', '.join(allowed) or 'none'}."
        raise serializers.ValidationError({"scopes": detail}, "not_allowed")
    return wanted

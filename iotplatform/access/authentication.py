"""Who sends a request with a token: ours, or one of an identity provider that the settings name."""

from __future__ import annotations

from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError

from iotplatform.access import tokens
from iotplatform.access.issuer import ExternalToken, external_user
from iotplatform.models import TokenFamily
from telemetry.audit_origin import came_with

__all__ = ["TokenAuthentication"]

_CHALLENGE = 'Bearer realm="api"'


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <JWT>``. Sets `request.auth` to a token with ``scopes``; whatever is wrong with one is 401."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("Send one token: Authorization: Bearer <token>.")
        text = parts[1].decode("latin-1")
        user, token = self._external(text) if _is_external(text) else self._own(text)
        came_with("token")
        return user, token

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE

    def _own(self, text: str) -> tuple[Any, tokens.Access]:
        try:
            token = tokens.Access(text)  # type: ignore[arg-type]
            families = TokenFamily.objects.select_related("user")
            family = families.get(pk=str(token.get("family", "")), revoked_at=None, ends_at__gt=timezone.now())
            tokens.check_owner(token, family.user)
        except TokenError as error:
            raise AuthenticationFailed("This token is none of ours, or it is over: refresh it, or log in.") from error
        except (TokenFamily.DoesNotExist, ValueError, ValidationError) as error:
            raise AuthenticationFailed("This token is revoked: log in again.") from error
        except tokens.Refused as error:
            raise AuthenticationFailed(str(error)) from error
        return family.user, token

    def _external(self, text: str) -> tuple[Any, ExternalToken]:
        return external_user(text)


def _is_external(text: str) -> bool:
    """By its issuer, which is not to be trusted yet: it only says who has to be asked for the keys."""
    issuer = settings.PLATFORM.jwt_issuer
    if not issuer:
        return False
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    return claims.get("iss") == issuer

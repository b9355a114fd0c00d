"""Who sends a request: a device by its key. People come with a session or a JWT, which others' classes read."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from telemetry.models import DeviceKey
from telemetry.models.key import TOKEN_PREFIX, digest_of

__all__ = ["DeviceKeyAuthentication"]

_CHALLENGE = 'Bearer realm="api"'


class DeviceKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer iot_…``. Sets `request.auth` to the DeviceKey; the user stays anonymous.

    A key gives no rights on people's routes (403): it may send readings and read its own receipts.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, DeviceKey] | None:
        parts = get_authorization_header(request).split()
        if len(parts) != 2 or parts[0].lower() != b"bearer" or not parts[1].startswith(f"{TOKEN_PREFIX}_".encode()):
            return None
        key = DeviceKey.objects.filter(digest=digest_of(parts[1].decode("latin-1"))).first()
        if key is None:
            raise AuthenticationFailed("This device key is unknown.")
        if (state := key.state(timezone.now())) != "valid":
            raise AuthenticationFailed(f"This device key is {state}; ask for a new one.")
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE

"""Tokens of an identity provider (JWT_ISSUER), checked with the keys that it publishes (JWT_JWKS_URL).

Only signatures with a private key count (RS256, ES256, EdDSA): `none`, or a secret made of a public key, is refused. A
token stands for the user of that name here; who is unknown here is refused. Its ``scope`` claim says what it may be used
for. Roles are those that the user has here, unless JWT_ROLES_CLAIM names a claim that brings them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError
from rest_framework.exceptions import AuthenticationFailed

from iotplatform.access.people import take_role
from iotplatform.access.roles import Role
from telemetry.api.errors import Unavailable
from telemetry.scopes import SCOPES

__all__ = ["ALGORITHMS", "ExternalToken", "external_user"]

ALGORITHMS = ("RS256", "ES256", "EdDSA")
_TIMEOUT_SECONDS = 3.0
_KEYS_SECONDS = 300.0
#: After a failure the provider is left alone for so long, so that its outage does not hold up our threads.
_PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ExternalToken:
    """What a request was authenticated with."""

    scopes: frozenset[str]
    claims: dict[str, Any]


class _Keys(jwt.PyJWKClient):
    """The provider's keys, cached. Redirects are not followed."""

    def __init__(self, url: str) -> None:
        super().__init__(url, lifespan=_KEYS_SECONDS, timeout=_TIMEOUT_SECONDS, cooldown_duration=_PAUSE_SECONDS)
        self._not_before = 0.0

    def fetch_data(self) -> Any:
        if time.monotonic() < self._not_before:
            raise PyJWKClientConnectionError("It did not answer a moment ago.")
        try:
            return super().fetch_data()
        except PyJWKClientError:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            raise


@lru_cache(maxsize=4)
def _keys(url: str) -> _Keys:
    return _Keys(url)


def external_user(text: str) -> tuple[User, ExternalToken]:
    """Who a token of the provider stands for. Raises AuthenticationFailed, and Unavailable while its keys cannot be had."""
    claims = _checked(text)
    names = [claims.get("preferred_username"), claims.get("sub")]
    user = next((found for name in names if isinstance(name, str) and (found := _user(name)) is not None), None)
    if user is None:
        raise AuthenticationFailed("Nobody here has the name of this token's owner: have a user made for it.")
    _take_role(user, claims)
    return user, ExternalToken(_scopes(claims), claims)


def _checked(text: str) -> dict[str, Any]:
    config = settings.PLATFORM
    try:
        # Asked first: the key of a token that says HS256 must not even be looked for.
        if jwt.get_unverified_header(text).get("alg") not in ALGORITHMS:
            raise AuthenticationFailed(f"This token is not signed with one of {', '.join(ALGORITHMS)}.")
        key = _keys(config.jwt_jwks_url).get_signing_key_from_jwt(text)
        return jwt.decode(
            text,
            key,
            algorithms=list(ALGORITHMS),
            audience=config.jwt_audience,
            issuer=config.jwt_issuer,
            leeway=10,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except PyJWKClientConnectionError as error:
        raise Unavailable("The keys of the identity provider cannot be had just now; try again shortly.") from error
    except (jwt.PyJWTError, ValueError) as error:
        raise AuthenticationFailed(f"This token of the identity provider is not good: {error}.") from error


def _user(name: str) -> User | None:
    return None if "\x00" in name else User.objects.filter(username=name, is_active=True).first()


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    said = claims.get("scope", claims.get("scp", ""))
    listed = said.split() if isinstance(said, str) else said
    return frozenset(each for each in listed if isinstance(each, str)) & SCOPES.keys()


def _take_role(user: User, claims: dict[str, Any]) -> None:
    if name := settings.PLATFORM.jwt_roles_claim:
        said = claims.get(name)
        known = said if isinstance(said, list) else []
        take_role(user, next((role for role in reversed(Role) if role in known), None))

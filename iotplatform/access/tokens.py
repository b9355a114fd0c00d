"""Tokens (JWT, HS256 under SECRET_KEY): access for 15 minutes, renewed with a refresh token that is good once.

All tokens of one login are a family (`TokenFamily`). A refresh token that comes a second time was copied: the family ends
at once, its access tokens too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from iotplatform.models import TokenFamily
from telemetry.scopes import SCOPES

__all__ = [
    "Access",
    "Pair",
    "Refused",
    "Reused",
    "allowed_scopes",
    "forget_expired",
    "issue",
    "refresh",
    "revoke",
    "revoke_all",
]

#: After that a person logs in again, however busy the program was.
FAMILY_DAYS = 30
_ACCESS: timedelta = api_settings.ACCESS_TOKEN_LIFETIME
_REFRESH: timedelta = api_settings.REFRESH_TOKEN_LIFETIME
#: Permissions of which one makes a scope worth having; a scope opens nothing by itself.
_WORTH = {
    "read:stats": ("telemetry.view_device", "alerts.view_alert", "thresholds.view_threshold"),
    "read:readings": ("telemetry.view_device", "telemetry.view_quarantinedreading"),
    "write:readings": ("telemetry.change_quarantinedreading", "telemetry.add_devicekey"),
    "manage:thresholds": (
        *(f"thresholds.{verb}_threshold" for verb in ("add", "change", "delete")),
        *(f"alerts.{verb}_silence" for verb in ("add", "change", "delete")),
        "alerts.change_alert",
    ),
    "manage:devices": tuple(
        f"telemetry.{verb}_{model}"
        for model in ("device", "devicetype", "devicegroup", "devicekey")
        for verb in ("add", "change", "delete")
    ),
    "admin": (
        *("auth.view_user", "auth.change_user", "telemetry.view_auditentry"),
        *("alerts.change_channel", "alerts.change_route"),
    ),
}


class Refused(Exception):
    """The token is none of ours, over, or revoked."""


class Reused(Refused):
    """It was used before: its family is ended. ``family`` is that."""

    def __init__(self, family: TokenFamily) -> None:
        super().__init__("This refresh token was used before, so all tokens of its login are revoked: log in again.")
        self.family = family


class Access(AccessToken):
    """What a request is authenticated with."""

    @property
    def scopes(self) -> frozenset[str]:
        """What it may be used for."""
        said = self.get("scopes")
        return frozenset(said) & SCOPES.keys() if isinstance(said, list) else frozenset()


class _Refresh(RefreshToken):
    access_token_class = Access


@dataclass(frozen=True, slots=True)
class Pair:
    """As they are sent."""

    access: str
    refresh: str
    family: TokenFamily


def allowed_scopes(user: Any) -> list[str]:
    """The scopes that are of use to this person now."""
    return [scope for scope in SCOPES if any(user.has_perm(name) for name in _WORTH[scope])]


def issue(user: User, scopes: Iterable[str], address: str = "") -> Pair:
    """Tokens of a new family. The caller has seen to it that the scopes are allowed."""
    now = timezone.now()
    refresh: Any = _Refresh.for_user(user)
    family = TokenFamily(
        user=user,
        scopes=sorted(set(scopes), key=list(SCOPES).index),
        current=refresh["jti"],
        address=address,
        ends_at=now + timedelta(days=FAMILY_DAYS),
        expires_at=now + _REFRESH,
    )
    family.save(force_insert=True)
    return _pair(refresh, family)


def refresh(text: str) -> Pair:
    """The next tokens of a family, for its newest refresh token. Raises Refused; Reused where it is an older one."""
    given = _read(text)
    family = _family(given)
    if family.revoked_at is not None or family.ends_at <= timezone.now():
        raise Refused("This token is revoked, or its login too long ago: log in again.")
    check_owner(given, family.user)
    made: Any = _Refresh.for_user(family.user)
    expires_at = min(timezone.now() + _REFRESH, family.ends_at)
    # Of two who come with the same token one wins; the other is told as one who comes later.
    advanced = TokenFamily.objects.filter(pk=family.pk, current=given["jti"], revoked_at=None).update(
        current=made["jti"], refreshed_at=timezone.now(), expires_at=expires_at
    )
    if not advanced:
        TokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=timezone.now())
        raise Reused(family)
    return _pair(made, family)


def revoke(text: str) -> TokenFamily | None:
    """End the family of a refresh token; None where it was ended before. Raises Refused."""
    family = _family(_read(text))
    ended = TokenFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=timezone.now())
    return family if ended else None


def revoke_all(user: Any) -> int:
    """End every family of a person; answers how many there were."""
    return TokenFamily.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())


def forget_expired() -> int:
    """Families none of whose tokens is good any more; answers how many."""
    # Access tokens outlive a refresh token that was about to expire by their own lifetime.
    over = timezone.now() - _ACCESS
    return TokenFamily.objects.filter(expires_at__lt=over).delete()[0]


def check_owner(token: Any, user: User) -> None:
    """Raises Refused where the owner is blocked, or has another password than when the token was got."""
    if not user.is_active:
        raise Refused("The owner of this token is blocked.")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise Refused("The password of this token's owner was changed: log in again.")


def _pair(refresh: Any, family: TokenFamily) -> Pair:
    refresh["family"], refresh["scopes"] = family.pk.hex, family.scopes
    return Pair(str(refresh.access_token), str(refresh), family)


def _read(text: str) -> Any:
    try:
        return _Refresh(text)  # type: ignore[arg-type]
    except TokenError as error:
        raise Refused("This is not a refresh token of ours, or it is over: log in again.") from error


def _family(token: Any) -> TokenFamily:
    try:
        return TokenFamily.objects.select_related("user").get(pk=str(token.get("family", "")))
    except (TokenFamily.DoesNotExist, ValueError, ValidationError) as error:
        raise Refused("This token is revoked: log in again.") from error

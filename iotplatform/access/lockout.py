"""Guessing passwords is slowed down, on every way in: the admin's login, the dashboard's, the token endpoint.

Failures in a row are counted by user name, whether there is such a user or not (so nobody learns which exist), and by
address. Beyond LOGIN_ATTEMPTS (or LOGIN_ADDRESS_ATTEMPTS) the next try has to wait, each failure twice as long as the one
before; until then not even the right password is looked at. The counts live in the database: they survive restarts, and
an administrator can reset them.

`GuardedBackend` is the one place where passwords are checked. Forms and views only have to tell: `LoginForm` says how long
to wait, and `iotplatform.access.middleware` makes 429 with Retry-After of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from iotplatform.access import events
from iotplatform.models import LoginFailures
from iotplatform.observability.metrics import client_address
from thresholds.quantities import duration

__all__ = ["AdminLoginForm", "GuardedBackend", "LoginForm", "forget_old", "locked_names", "unlock", "wait_of"]

_Kind = LoginFailures.Kind
#: Failures so long ago count no more.
_FORGOTTEN_AFTER = timedelta(days=1)
_LONGEST = 150


class GuardedBackend(ModelBackend):
    """Django's own, which is asked only where nobody has to wait. Raises PermissionDenied where somebody has to."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        again: bool = False,
        **kwargs: Any,
    ) -> Any:
        """``again``: somebody who is logged in proves who he is; no login is written down."""
        name = username if username is not None else kwargs.get("username")
        if name is None or password is None:
            return None
        guard = _Guard(name, _address(request), timezone.now())
        if wait := guard.wait():
            _note(request, wait)
            raise PermissionDenied
        user = super().authenticate(request, username=name, password=password, **kwargs)
        if user is None:
            guard.failed()
        else:
            guard.succeeded()
            if not again:
                events.logged_in(user)
        return user


class _Telling:
    """Mixed into login forms: says how long to wait, where somebody has to."""

    request: Any

    def get_invalid_login_error(self) -> ValidationError:
        if wait := wait_of(self.request):
            return ValidationError(waiting_text(wait), code="locked_out")
        return super().get_invalid_login_error()  # type: ignore[misc,no-any-return]


class LoginForm(_Telling, AuthenticationForm):
    """For pages with a login."""


class AdminLoginForm(_Telling, AdminAuthenticationForm):
    """For the admin's."""


def wait_of(request: Any) -> int:
    """Seconds that this request's login has to wait; 0 where it was tried."""
    return int(getattr(getattr(request, "_request", request), "login_wait", 0))


def waiting_text(seconds: int) -> str:
    """What the person is told."""
    return (
        f"Too many failed logins. Wait {duration(float(seconds))}, then try again, or have an administrator unlock it."
    )


def unlock(name: str) -> bool:
    """Forget the failures of a user name; whether there were any."""
    return bool(LoginFailures.objects.filter(kind=_Kind.NAME, value=_named(name)).delete()[0])


def locked_names(now: datetime) -> dict[str, datetime]:
    """User names (in lower case) that have to wait, and until when."""
    found = LoginFailures.objects.filter(kind=_Kind.NAME, locked_until__gt=now)
    return {name: until for name, until in found.values_list("value", "locked_until") if until is not None}


def forget_old() -> int:
    """Rows that mean nothing any more; answers how many."""
    return LoginFailures.objects.filter(last_at__lt=timezone.now() - _FORGOTTEN_AFTER).delete()[0]


class _Guard:
    """The counts of one name and one address."""

    def __init__(self, name: str, address: str, now: datetime) -> None:
        config = settings.PLATFORM
        self._name, self._address, self._now = name, address, now
        self._counted = [(_Kind.NAME, _named(name), config.login_attempts)]
        if address:
            self._counted.append((_Kind.ADDRESS, address, config.login_address_attempts))

    def wait(self) -> int:
        """Seconds until a login is tried again; 0: now."""
        values = [value for _, value, _ in self._counted]
        rows = LoginFailures.objects.filter(value__in=values, locked_until__gt=self._now)
        mine = {(kind, value) for kind, value, _ in self._counted}
        until = [row.locked_until for row in rows if (row.kind, row.value) in mine and row.locked_until is not None]
        return max((int((end - self._now).total_seconds()) + 1 for end in until), default=0)

    def failed(self) -> None:
        """One more, and a wait where they are many."""
        events.login_failed(self._name, self._address)
        for kind, value, most in self._counted:
            failures = self._count(kind, value)
            if failures >= most:
                seconds = _seconds(failures - most)
                until = self._now + timedelta(seconds=seconds)
                LoginFailures.objects.filter(kind=kind, value=value).update(locked_until=until)
                events.locked_out(kind, value, failures, seconds)

    def succeeded(self) -> None:
        """The name starts anew; the address does not: one known password must not pay for guessing others."""
        LoginFailures.objects.filter(kind=_Kind.NAME, value=_named(self._name)).delete()

    def _count(self, kind: str, value: str) -> int:
        rows = LoginFailures.objects.filter(kind=kind, value=value)
        # Failures of yesterday are over; unknown names get a row as known ones do.
        rows.filter(last_at__lt=self._now - _FORGOTTEN_AFTER).delete()
        LoginFailures.objects.bulk_create([LoginFailures(kind=kind, value=value)], ignore_conflicts=True)
        rows.update(failures=F("failures") + 1, last_at=self._now)
        return rows.values_list("failures", flat=True).first() or 0


def _seconds(beyond: int) -> int:
    config = settings.PLATFORM
    doubled: int = config.login_wait_seconds * 2 ** min(beyond, 20)
    return min(doubled, config.login_max_wait_seconds)


def _named(name: str) -> str:
    """As it is counted: a name in another case must not be another chance."""
    return name.replace("\x00", "")[:_LONGEST].casefold()[:_LONGEST]


def _address(request: Any) -> str:
    """As it is counted: of IPv6 the network, for everybody there has as many addresses as he likes."""
    plain = getattr(request, "_request", request)
    if plain is None:
        return ""
    text = client_address(plain, settings.PLATFORM.trusted_proxies)[:45]
    try:
        address = ip_address(text)
    except ValueError:
        return text
    return text if address.version == 4 else str(ip_network((address, 64), strict=False))


def _note(request: Any, wait: int) -> None:
    if request is not None:
        getattr(request, "_request", request).login_wait = wait

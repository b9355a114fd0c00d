"""People who look after alerts: with the rights to see them, to change them, or none."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth.models import Permission, User

from tests.telemetry.api.conftest import Api, api_of

_numbers = itertools.count(1)


def operator(*rights: str, **fields: Any) -> User:
    """A user with these permissions on alerts; by default one who may see and change them."""
    user = User.objects.create_user(**{"username": f"operator-{next(_numbers)}"} | fields)
    codenames = [f"{right}_alert" for right in rights or ("view", "change")]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="alerts", codename__in=codenames))
    return User.objects.get(pk=user.pk)


def operator_api(*rights: str, **fields: Any) -> Api:
    return api_of(operator(*rights, **fields))

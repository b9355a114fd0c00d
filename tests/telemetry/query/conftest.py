"""Who reads: somebody who may see devices."""

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from rest_framework.test import APIClient


@pytest.fixture
def reader(db) -> APIClient:
    user = User.objects.create_user("olga")
    user.user_permissions.add(Permission.objects.get(codename="view_device"))
    client = APIClient()
    client.force_login(user)
    yield client
    cache.clear()

"""The routes of access, below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import URLPattern, path

from iotplatform.access.api import tokens

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("auth/token", tokens.Token.as_view(), name="token"),
    path("auth/token/refresh", tokens.TokenRefresh.as_view(), name="token-refresh"),
    path("auth/token/revoke", tokens.TokenRevoke.as_view(), name="token-revoke"),
]

"""The routes of access, below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import URLPattern, path

from iotplatform.access.api import tokens, users

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("auth/token", tokens.Token.as_view(), name="token"),
    path("auth/token/refresh", tokens.TokenRefresh.as_view(), name="token-refresh"),
    path("auth/token/revoke", tokens.TokenRevoke.as_view(), name="token-revoke"),
    path("users", users.UserList.as_view(), name="users"),
    path("users/me", users.Me.as_view(), name="me"),
    path("users/me/password", users.MyPassword.as_view(), name="my-password"),
    path("users/<int:id>", users.UserDetail.as_view(), name="user"),
    path("users/<int:id>/unlock", users.UserUnlock.as_view(), name="user-unlock"),
    path("users/<int:id>/sign-out", users.UserSignOut.as_view(), name="user-sign-out"),
    path("roles", users.RoleList.as_view(), name="roles"),
]

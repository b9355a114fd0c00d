"""Tokens (JWT) for people's programs: 15 minutes of access, renewed with the refresh token."""

from __future__ import annotations

from rest_framework.throttling import ScopedRateThrottle
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

__all__ = ["Token", "TokenRefresh"]


class Token(TokenObtainPairView):
    """Trade a user name and password for an access token and a refresh token."""

    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "token"


class TokenRefresh(TokenRefreshView):
    """Trade a refresh token for a new access token."""

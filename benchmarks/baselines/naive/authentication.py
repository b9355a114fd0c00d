"""DRF's own tokens, one query a request."""

from __future__ import annotations

from rest_framework.authentication import TokenAuthentication


class BearerToken(TokenAuthentication):
    keyword = "Bearer"

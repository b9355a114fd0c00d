"""Which scope each route needs, in the API's description."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from telemetry.scopes import SCOPES, needed

__all__ = ["ScopedSchema", "TokenScheme"]


class ScopedSchema(AutoSchema):
    """The framework's, with a sentence about the scopes at the end of each description."""

    def get_description(self) -> str:  # type: ignore[override]
        said = super().get_description() or ""
        scopes = needed(self.view, self.method) if self.view.get_authenticators() else ()
        if not scopes:
            return said
        named = " or ".join(f"`{scope}`" for scope in scopes)
        return f"{said}\n\nA token needs the scope {named}.".strip()


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security requirement of a route: a token with one of its scopes."""

    target_class = "iotplatform.access.authentication.TokenAuthentication"
    name = "token"

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:  # type: ignore[override]
        scopes = needed(auto_schema.view, auto_schema.method)
        return [{self.name: [scope]} for scope in scopes]

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        listed = "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in SCOPES.items())
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": f"From POST /api/v1/auth/token. Scopes:\n\n{listed}",
        }

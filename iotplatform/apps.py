from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class PlatformConfig(AppConfig):
    name = "iotplatform"

    def ready(self) -> None:
        """Every process knows the broker, management commands too: waking a drain needs it."""
        from iotplatform import celery  # noqa: F401

        post_migrate.connect(_make_roles, dispatch_uid="iotplatform.roles")


def _make_roles(app_config: AppConfig, **_: Any) -> None:
    """Once the last app's permissions are made, roles hold what they should."""
    from iotplatform.access.roles import ensure_roles

    if app_config == [*apps.get_app_configs()][-1]:
        ensure_roles()

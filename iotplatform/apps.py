from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "iotplatform"

    def ready(self) -> None:
        """Every process knows the broker, management commands too: waking a drain needs it."""
        from iotplatform import celery  # noqa: F401

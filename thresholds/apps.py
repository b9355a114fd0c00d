from django.apps import AppConfig


class ThresholdsConfig(AppConfig):
    name = "thresholds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from telemetry.deletion import before_deletion
        from thresholds.edit import delete_with_device

        before_deletion.append(delete_with_device)

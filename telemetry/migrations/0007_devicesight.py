import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("telemetry", "0006_rollups"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceSight",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="device_sight",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("groups", models.ManyToManyField(blank=True, related_name="seen_by", to="telemetry.devicegroup")),
            ],
            options={
                "verbose_name": "restriction to device groups",
                "verbose_name_plural": "restrictions to device groups",
            },
        ),
    ]

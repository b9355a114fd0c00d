"""Without any route nobody would hear of anything: by default everything reaches the admins' email."""

from django.db import migrations


def make_default_route(apps, schema_editor):
    """Once: who deletes or changes it does so for good."""
    channel, _ = apps.get_model("alerts", "Channel").objects.get_or_create(
        name="Administrators", defaults={"kind": "email", "config": {"administrators": True}}
    )
    route, made = apps.get_model("alerts", "Route").objects.get_or_create(name="Default", defaults={"position": 1000})
    if made:
        route.channels.add(channel)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_held_alerts")]

    operations = [migrations.RunPython(make_default_route, migrations.RunPython.noop)]

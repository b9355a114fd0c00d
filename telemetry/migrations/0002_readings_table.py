"""The readings table, made by the time-series engine that the server can run, and the shards."""

from django.conf import settings
from django.db import migrations


def make_readings(apps, schema_editor):
    from telemetry.timeseries.engine import choose_engine

    platform = settings.PLATFORM
    with schema_editor.connection.cursor() as cursor:
        engine = choose_engine(cursor, platform.timeseries_engine, platform.timeseries_columnar)
        engine.create(cursor, platform.partition_days)


def drop_readings(apps, schema_editor):
    schema_editor.execute("DROP TABLE IF EXISTS telemetry_reading")


def make_shards(apps, schema_editor):
    apps.get_model("telemetry", "LogLayout").objects.create(id=1, shards=settings.PLATFORM.shards)
    position = apps.get_model("telemetry", "ShardPosition")
    position.objects.bulk_create(position(shard=shard) for shard in range(settings.PLATFORM.shards))


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0001_initial")]
    operations = [
        migrations.RunPython(make_readings, drop_readings),
        migrations.RunPython(make_shards, migrations.RunPython.noop),
    ]

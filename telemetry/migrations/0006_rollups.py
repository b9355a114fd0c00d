"""The tables of the rollups, made by the engine that keeps the readings, and the list of what they do not know yet."""

from django.db import migrations, models
from django.db.models.functions import Now
from django.utils import timezone

from telemetry.rollups.levels import LEVELS


def make_rollups(apps, schema_editor):
    from telemetry.timeseries.engine import engine_in_use

    with schema_editor.connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        for level in LEVELS:
            engine.create_rollup(cursor, level.table, level.width, level.percentiles)
        # An installation that has readings: all of them wait for their first rollup.
        cursor.execute(
            "INSERT INTO telemetry_rollupmark (level, low, high, first_series, last_series, series) "
            "SELECT 'minute', date_trunc('minute', low), date_trunc('minute', high) + interval '1 minute', id, id, ARRAY[id] "
            "FROM (SELECT s.id, "
            "(SELECT min(time) FROM telemetry_reading r WHERE r.series_id = s.id) AS low, "
            "(SELECT max(time) FROM telemetry_reading r WHERE r.series_id = s.id) AS high "
            "FROM telemetry_series s) AS held WHERE low IS NOT NULL"
        )
    apps.get_model("telemetry", "RollupState").objects.create(id=1)


def drop_rollups(apps, schema_editor):
    for level in LEVELS:
        schema_editor.execute(f"DROP TABLE IF EXISTS {level.table}")


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_no_dots_for_names")]
    operations = [
        migrations.CreateModel(
            name="RollupState",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("rolled_upto", models.DateTimeField(db_default=Now(), default=timezone.now)),
                ("refreshed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RollupMark",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("level", models.CharField(db_default="minute", default="minute", max_length=6)),
                ("low", models.DateTimeField()),
                ("high", models.DateTimeField()),
                ("first_series", models.IntegerField()),
                ("last_series", models.IntegerField()),
                ("at", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.RunSQL(
            "ALTER TABLE telemetry_rollupmark ADD COLUMN series integer[] NOT NULL, ADD COLUMN lows timestamptz[], "
            "ADD COLUMN highs timestamptz[]; "
            # Rows live for minutes: vacuum soon, so that looking through the list stays cheap.
            "ALTER TABLE telemetry_rollupmark SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000)",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(make_rollups, drop_rollups),
    ]

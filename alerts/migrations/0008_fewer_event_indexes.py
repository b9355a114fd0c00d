"""Two indexes that every row of a timeline was written into, and that another one is for, or that few rows need.

By their names: as AlterField, PostgreSQL would check both foreign keys of all rows once more.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_ALERT, _WHO = "alerts_alertevent_alert_id_edd734b8", "alerts_alertevent_who_id_3099a10c"


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0007_event_traceparent"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            "alertevent",
            models.Index(fields=["who"], condition=models.Q(who__isnull=False), name="event_by_whom"),
        ),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    f"DROP INDEX IF EXISTS {_ALERT}, {_WHO}",
                    f"CREATE INDEX {_ALERT} ON alerts_alertevent (alert_id); "
                    f"CREATE INDEX {_WHO} ON alerts_alertevent (who_id)",
                )
            ],
            [
                migrations.AlterField(
                    "alertevent",
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="timeline",
                        to="alerts.alert",
                    ),
                ),
                migrations.AlterField(
                    "alertevent",
                    "who",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]

import datetime

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0009_audit_append_only"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedQuery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "route",
                    models.CharField(choices=[("aggregates", "Aggregates"), ("readings", "Readings")], max_length=20),
                ),
                ("query", models.TextField()),
                ("raw", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "owner",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "saved queries",
                "ordering": ["name", "id"],
                "permissions": [("manage_other_exports", "Can see and manage the queries and exports of others")],
            },
        ),
        migrations.CreateModel(
            name="ScheduledExport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "every",
                    models.CharField(
                        choices=[("daily", "Daily"), ("weekly", "Weekly")], default="daily", max_length=10
                    ),
                ),
                (
                    "weekday",
                    models.SmallIntegerField(
                        blank=True,
                        choices=[
                            (0, "Monday"),
                            (1, "Tuesday"),
                            (2, "Wednesday"),
                            (3, "Thursday"),
                            (4, "Friday"),
                            (5, "Saturday"),
                            (6, "Sunday"),
                        ],
                        null=True,
                    ),
                ),
                ("at", models.TimeField(default=datetime.time(6, 0))),
                ("zone", models.CharField(default="UTC", max_length=64)),
                (
                    "period",
                    models.CharField(
                        choices=[("yesterday", "Yesterday"), ("last_week", "last week"), ("last_days", "last days")],
                        default="yesterday",
                        max_length=10,
                    ),
                ),
                (
                    "days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(366),
                        ],
                    ),
                ),
                (
                    "format",
                    models.CharField(choices=[("csv", "CSV"), ("parquet", "Parquet")], default="csv", max_length=10),
                ),
                (
                    "destination",
                    models.CharField(choices=[("folder", "Folder"), ("s3", "S3")], default="folder", max_length=10),
                ),
                ("recipients", models.JSONField(blank=True, default=list)),
                ("enabled", models.BooleanField(default=True)),
                ("next_on", models.DateField(editable=False, null=True)),
                ("next_at", models.DateTimeField(editable=False, null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "query",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="exports", to="telemetry.savedquery"
                    ),
                ),
            ],
            options={
                "ordering": ["name", "id"],
            },
        ),
        migrations.CreateModel(
            name="ExportRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scheduled", models.BooleanField(default=False)),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("given_up", "given up"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("leased_until", models.DateTimeField(null=True)),
                ("claim", models.UUIDField(null=True)),
                ("format", models.CharField(choices=[("csv", "CSV"), ("parquet", "Parquet")], max_length=10)),
                ("destination", models.CharField(choices=[("folder", "Folder"), ("s3", "S3")], max_length=10)),
                ("rows", models.BigIntegerField(null=True)),
                ("bytes", models.BigIntegerField(null=True)),
                ("sha256", models.CharField(blank=True, default="", max_length=64)),
                ("location", models.CharField(blank=True, default="", max_length=1000)),
                ("devices", models.JSONField(blank=True, default=list)),
                ("error", models.TextField(blank=True, default="")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("removed_at", models.DateTimeField(null=True)),
                (
                    "mail",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "nobody to tell"),
                            ("waiting", "Waiting"),
                            ("sent", "Sent"),
                            ("failed", "Failed"),
                        ],
                        default="",
                        max_length=10,
                    ),
                ),
                ("mail_attempts", models.PositiveSmallIntegerField(default=0)),
                ("mail_due_at", models.DateTimeField(null=True)),
                ("mail_error", models.TextField(blank=True, default="")),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "export",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="telemetry.scheduledexport"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddConstraint(
            model_name="savedquery",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="savedquery_name_of_owner"),
        ),
        migrations.AddIndex(
            model_name="scheduledexport",
            index=models.Index(condition=models.Q(("enabled", True)), fields=["next_at"], name="export_next"),
        ),
        migrations.AddConstraint(
            model_name="scheduledexport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("every", "weekly"), ("weekday__isnull", False)),
                    models.Q(("every", "daily"), ("weekday__isnull", True)),
                    _connector="OR",
                ),
                name="export_weekday_of_weekly",
            ),
        ),
        migrations.AddConstraint(
            model_name="scheduledexport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("days__isnull", False), ("period", "last_days")),
                    models.Q(models.Q(("period", "last_days"), _negated=True), ("days__isnull", True)),
                    _connector="OR",
                ),
                name="export_days_of_last_days",
            ),
        ),
        migrations.AddIndex(
            model_name="exportrun",
            index=models.Index(fields=["export", "-id"], name="exportrun_history"),
        ),
        migrations.AddIndex(
            model_name="exportrun",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "failed", "running"])),
                fields=["due_at"],
                name="exportrun_open",
            ),
        ),
        migrations.AddIndex(
            model_name="exportrun",
            index=models.Index(condition=models.Q(("mail", "waiting")), fields=["mail_due_at"], name="exportrun_mail"),
        ),
        migrations.AddConstraint(
            model_name="exportrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("scheduled", True)),
                fields=("export", "period_start", "period_end"),
                name="exportrun_period_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="exportrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_start__lt", models.F("period_end"))), name="exportrun_period"
            ),
        ),
    ]

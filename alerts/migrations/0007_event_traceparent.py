"""The trace of the request behind a change of an alert. A column with a constant default: no row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0006_unacknowledged")]

    operations = [
        migrations.AddField(
            model_name="alertevent",
            name="traceparent",
            field=models.CharField(blank=True, db_default="", default="", max_length=55),
        ),
    ]

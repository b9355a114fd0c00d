from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("thresholds", "0002_rules_version")]
    operations = [
        migrations.AddField(
            model_name="pairstate",
            name="severity",
            field=models.SmallIntegerField(default=0, db_default=0),
        ),
    ]

"""Up to when readings are rolled up, and the list of what the rollups do not know yet."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class RollupState(models.Model):
    """One row. From ``rolled_upto`` on only the readings themselves are right; before it, so are the rollups, but for
    what is marked."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    rolled_upto = models.DateTimeField(default=timezone.now, db_default=Now())
    #: When the last run ended that left nothing undone.
    refreshed_at = models.DateTimeField(null=True)


class RollupMark(models.Model):
    """Readings came in [low, high) of these series: their buckets of this level have to be made (again).

    A drain adds its own in the transaction of its readings, and nobody ever changes one: so marking waits for nobody.

    Columns beside these: ``members bytea`` has a bit for each series from ``first_series`` to ``last_series``
    (`telemetry.rollups.members`), or ``series integer[]`` names them; where not all of them share one range, ``lows`` and
    ``highs timestamptz[]`` have that of each, and ``low`` and ``high`` enclose them. ``newest timestamptz``: none of the
    readings is later; NULL where that is not known.
    """

    id = models.BigAutoField(primary_key=True)
    level = models.CharField(max_length=6, default="minute", db_default="minute")
    low = models.DateTimeField()
    high = models.DateTimeField()
    first_series = models.IntegerField()
    last_series = models.IntegerField()
    at = models.DateTimeField(db_default=Now())

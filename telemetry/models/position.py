"""How far each shard's log has been stored. These rows move in the same transaction as the readings."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class LogLayout(models.Model):
    """One row: how many shards there are. Fixed at install; ``manage.py reshard`` bumps the epoch."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    shards = models.IntegerField()
    epoch = models.IntegerField(default=1)
    #: False while a reshard drains the old layout: intake answers 503.
    open = models.BooleanField(default=True, db_default=True)


class ShardPosition(models.Model):
    """The lock of a shard, and what of its log has been stored and judged.

    Entry ids are those of the log ("<ms>-<seq>"); an id means nothing without its generation.
    """

    shard = models.IntegerField(primary_key=True)
    generation = models.CharField(max_length=40, default="", db_default="")
    #: Segment (one run of the log server) of the newest entry stored.
    segment = models.CharField(max_length=60, default="", db_default="")
    stored = models.CharField(max_length=42, default="0-0", db_default="0-0")
    judged = models.CharField(max_length=42, default="0-0", db_default="0-0")
    #: Bytes of the shard's log up to those two entries.
    stored_offset = models.BigIntegerField(default=0, db_default=0)
    judged_offset = models.BigIntegerField(default=0, db_default=0)
    #: Bumped by whoever deletes devices of this shard while holding the row: a drain then forgets its series.
    series_epoch = models.IntegerField(default=0, db_default=0)
    stored_readings = models.BigIntegerField(default=0, db_default=0)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())


class LogSegment(models.Model):
    """One run of the log server, per shard: up to which entry it was stored, once it is over.

    A receipt of an ended segment beyond that entry was lost with the log.
    """

    shard = models.IntegerField()
    segment = models.CharField(max_length=60)
    ended_at_entry = models.CharField(max_length=42, null=True)  # noqa: DJ001 - null means "goes on"
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shard", "segment"], name="segment_once_per_shard")]


class ReceiptOutcome(models.Model):
    """What became of one log entry, where it was not simply stored."""

    shard = models.IntegerField()
    segment = models.CharField(max_length=60)
    entry = models.CharField(max_length=42)
    duplicates = models.IntegerField(default=0)
    conflicts = models.IntegerField(default=0)
    quarantined = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now(), db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shard", "segment", "entry"], name="outcome_once_per_entry")]


class FrontierCheckpoint(models.Model):
    """The newest stored event time of each series of a shard, as it was at some position: a lower bound."""

    shard = models.IntegerField(primary_key=True)
    #: int32 series ids and int64 event times (µs since 1970), little-endian, of equal count.
    series = models.BinaryField()
    times = models.BinaryField()
    saved_at = models.DateTimeField(auto_now=True, db_default=Now())


class RegistryChange(models.Model):
    """Written by triggers on any change of devices, keys, types, metrics and groups: what the processes must forget."""

    id = models.BigAutoField(primary_key=True)
    #: The transaction that wrote it: the order of ids is not the order of commits.
    xid = models.BigIntegerField()
    kind = models.CharField(max_length=10)
    object_id = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        indexes = [models.Index(fields=["xid"], name="registry_change_xid")]

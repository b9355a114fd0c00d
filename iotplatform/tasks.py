"""Celery's tasks: each one call into the code that does it, and when beat runs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections

from alerts import about_platform
from alerts.dispatch import dispatch
from alerts.follow_up import follow_up
from alerts.pruning import prune_alerts
from alerts.senders import senders
from iotplatform.backup.scheduled import look_after_backups
from iotplatform.backup.scheduled import worker as backups
from iotplatform.backup.snapshot import running as backup_running
from iotplatform.dashboard import history
from iotplatform.env import config
from iotplatform.judging import threshold_judge
from iotplatform.lifeline import Lifeline
from iotplatform.linger import Linger
from iotplatform.pipeline import ShardDrain
from iotplatform.turns import Turns
from telemetry import compaction, purge, upkeep
from telemetry.database import connect
from telemetry.exports.wake import EXPORT_TASK
from telemetry.exports.worker import worker as export_worker
from telemetry.last_seen import write_last_seen
from telemetry.log import keys
from telemetry.log.redis_streams import RedisLog
from telemetry.log.wake import DRAIN_TASK, drain_queue, publish
from telemetry.rollups.run import worker as rollups
from thresholds.judge import ThresholdJudge

#: A drain gives way to the worker's other shards after this many seconds, and asks for another.
_TURN_SECONDS = 0.25
_HEARTBEAT_SECONDS = 15
#: Where so many sweeps, and some seconds more, brought no message for a shard, its worker drains it all the same.
_UNASKED_SWEEPS = 3
_UNASKED_SECONDS = 5.0

_local = threading.local()
_lifeline: Lifeline | None = None


def _log() -> RedisLog:
    if not hasattr(_local, "log"):
        _local.log = RedisLog(settings.SERVERS["redis_url"], config.redis_timeout_seconds)
    return _local.log  # type: ignore[no-any-return]


def _shard_drain(shard: int) -> ShardDrain:
    """This worker's drain of a shard, kept so that its frontier stays warm."""
    if not hasattr(_local, "drains"):
        _local.drains = {}
    if shard not in _local.drains:
        _local.drains[shard] = ShardDrain(
            *(shard, _log(), _judge(), config, lambda: connect(autocommit=True)),
            on_unjudged=about_platform.left_unjudged,
        )
    return _local.drains[shard]  # type: ignore[no-any-return]


def _judge() -> ThresholdJudge:
    """This worker's judge, one for all its shards: the rules are in memory once."""
    if not hasattr(_local, "judge"):
        _local.judge = threshold_judge(_log(), config)
    return _local.judge  # type: ignore[no-any-return]


@shared_task(name=DRAIN_TASK)
def drain(shard: int) -> None:
    """Drain a shard until nothing waits, or its turn is over."""
    if _lifeline is not None:
        _lifeline.asked(shard)
    if left := _linger(shard).left(time.monotonic()):
        time.sleep(left)
    if _large(shard):
        with _turns().turn():
            more = _take_turn(shard)
    else:
        more = _take_turn(shard)
    if more:
        publish(shard)


def hold_lifeline(shards: Collection[int]) -> None:
    """This process drains these shards, whether messages reach it or not."""
    global _lifeline
    if shards and _lifeline is None:
        patience = _UNASKED_SWEEPS * config.sweep_seconds + _UNASKED_SECONDS
        _lifeline = Lifeline(shards, _take_turn, patience, config.sweep_seconds)
        _lifeline.start()


def _take_turn(shard: int) -> bool:
    """Drain a shard for a while: whether there is more."""
    # The flag goes first: whatever is appended from now on asks for a drain of its own.
    _log().announce(shard, config.process_name, _HEARTBEAT_SECONDS)
    drain_of_shard = _shard_drain(shard)
    began = time.monotonic()
    more, readings = True, 0
    while more and time.monotonic() < began + _TURN_SECONDS:
        drained = drain_of_shard.drain()
        more, readings = drained.more, readings + drained.readings
    if more:
        _linger(shard).left_some(readings, drain_of_shard.columnar_from)
    else:
        _linger(shard).drained(readings, began, time.monotonic(), drain_of_shard.columnar_from)
    return more


def _large(shard: int) -> bool:
    """Whether its last turn brought many times what is enough for columns."""
    return _linger(shard).large


def _turns() -> Turns:
    if not hasattr(_local, "turns"):
        number = config.process_name.removeprefix("drain")
        _local.turns = Turns(config.run_dir, int(number) if number.isdigit() else 1)
    return _local.turns  # type: ignore[no-any-return]


def _linger(shard: int) -> Linger:
    """When this worker drains a shard again."""
    if not hasattr(_local, "lingers"):
        _local.lingers = {}
    return _local.lingers.setdefault(shard, Linger())  # type: ignore[no-any-return]


@shared_task(name="iotplatform.tasks.beat_heart")
def beat_heart() -> None:
    """The general worker lives; the drain workers say so with every drain."""
    _log().call(lambda client: client.set(keys.worker(config.process_name), int(time.time()), ex=_HEARTBEAT_SECONDS))


@shared_task(name="iotplatform.tasks.flush_last_seen")
def flush_last_seen() -> None:
    close_old_connections()
    write_last_seen(_log())


@shared_task(name="iotplatform.tasks.keep_ranges")
def keep_ranges() -> None:
    """Partitions ahead of time, retention, compression."""
    with connect(autocommit=True) as connection:
        backed_up = backup_running(connection)
    # Who drops or compresses a range waits for the backup that reads it, and everybody else then waits for him: later.
    upkeep.keep_ranges(replace(config, raw_retention_days=0, compress_after_days=0) if backed_up else config)


@shared_task(name="iotplatform.tasks.compact")
def compact() -> None:
    """Sort columnar chunks that are written no more, in a thread of its own; a backup reads what would be exchanged."""
    compaction.worker.pump(config, may_go_on=lambda connection: not backup_running(connection))


@shared_task(name="iotplatform.tasks.refresh_rollups")
def refresh_rollups() -> None:
    """Minutes, hours and days where readings came, in a thread of its own: it gives way most of the time."""
    rollups.pump(_log, config)


@shared_task(name="iotplatform.tasks.back_up")
def back_up() -> None:
    """A backup where one is due, in a process of its own; and the alert about those that are missing."""
    _with_database(lambda: backups.pump(config))
    _with_database(lambda: look_after_backups(config))


@shared_task(name="iotplatform.tasks.prune")
def prune() -> None:
    """What is older than its time to be kept."""
    # Here, because drain workers read this file too, and have no use for what checks tokens and passwords.
    from iotplatform.access.upkeep import prune_access

    upkeep.prune(config)
    _with_database(lambda: prune_alerts(config.alert_keep_days))
    _with_database(lambda: prune_access(config.audit_keep_days))


@shared_task(name="iotplatform.tasks.purge_deleted")
def purge_deleted() -> None:
    """Readings of deleted devices."""
    purge.purge_deleted()


@shared_task(name="iotplatform.tasks.note_history")
def note_history() -> None:
    """A sample of the platform for the overview's last hour."""
    _with_database(history.note)


@shared_task(name="alerts.dispatch")
def dispatch_alerts() -> None:
    """Route what is new of alerts into messages."""
    _with_database(dispatch)


@shared_task(name="alerts.deliver")
def deliver_messages() -> None:
    """Hand messages that are due to the threads that send them."""
    _with_database(senders.pump)


@shared_task(name="alerts.follow_up")
def follow_up_alerts() -> None:
    """Repeats, escalation steps, and what silences and gateways held back."""
    _with_database(follow_up)


@shared_task(name="alerts.about_platform")
def look_at_platform() -> None:
    """Alerts of the platform about itself."""
    _with_database(about_platform.check)


@shared_task(name=EXPORT_TASK)
def make_exports() -> None:
    """Exports that are due, in a thread of their own."""
    _with_database(export_worker.pump)


def _with_database(work: Callable[[], object]) -> None:
    """With a connection from the pool that goes back to it."""
    close_old_connections()
    try:
        work()
    finally:
        close_old_connections()


def beat_schedule() -> dict[str, dict[str, Any]]:
    """What beat runs, and how often. A run that waited longer than its interval is dropped: the next one does it."""
    schedule: dict[str, dict[str, Any]] = {}
    for shard in range(config.shards):
        schedule[f"sweep-{shard}"] = {
            "task": DRAIN_TASK,
            "schedule": config.sweep_seconds,
            "args": [shard],
            "options": {"queue": drain_queue(shard), "expires": config.sweep_seconds},
        }
    for name, seconds in (
        ("beat_heart", _HEARTBEAT_SECONDS / 3),
        ("flush_last_seen", float(config.last_seen_flush_seconds)),
        ("back_up", 60.0),
        ("compact", 30.0),
        ("keep_ranges", 60.0),
        ("note_history", float(history.SAMPLE_SECONDS)),
        ("prune", 600.0),
        ("purge_deleted", 30.0),
        ("refresh_rollups", float(config.rollup_refresh_seconds)),
    ):
        schedule[name] = {"task": f"iotplatform.tasks.{name}", "schedule": seconds, "options": {"expires": seconds}}
    for name, seconds in (
        ("alerts.dispatch", 1.0),
        ("alerts.deliver", 1.0),
        ("alerts.follow_up", 5.0),
        ("alerts.about_platform", 5.0),
        (EXPORT_TASK, 30.0),
    ):
        schedule[name] = {"task": name, "schedule": seconds, "options": {"expires": seconds}}
    return schedule

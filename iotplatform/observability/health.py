"""/healthz and /readyz: for load balancers, orchestrators and people in a hurry.

/healthz says that this process answers, and asks nobody. /readyz asks the database, the log and the workers, all at
once, each for a second at most; with ``?for=intake`` only what taking readings needs, so that web processes go on
taking them while workers are away.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from iotplatform.observability.log_metrics import stored_positions
from iotplatform.observability.probes import Answer, Question, ask, database, redis_server
from iotplatform.queues import drain_queues
from telemetry.log import keys
from telemetry.log.depth import depths

__all__ = ["healthz", "missing_workers", "readyz", "worker_names"]

_SECONDS = 1.0
#: Waiting longer than this means that nobody drains; drains begin within milliseconds and repeat within seconds.
_STALE_SECONDS = 30.0


@require_GET
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """This process lives."""
    return JsonResponse({"status": "ok"})


@require_GET
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 ``{"status": "ok", "checks": {name: "ok"}}``, or 503 with the reason in place of "ok" where one is not."""
    checks = INTAKE_CHECKS if request.GET.get("for") == "intake" else INTAKE_CHECKS | OTHER_CHECKS
    answers = ask(checks, _SECONDS)
    ready = all(answer.ok for answer in answers.values())
    return JsonResponse(
        {
            "status": "ok" if ready else "unavailable",
            "checks": {name: "ok" if answer.ok else answer.detail for name, answer in answers.items()},
        },
        status=200 if ready else 503,
    )


def worker_names() -> list[str]:
    """The workers that there should be: one for each share of the shards, and one for everything else."""
    config = settings.PLATFORM
    drains = len(drain_queues(config.shards, config.drain_workers))
    return [*(f"drain{number}" for number in range(1, drains + 1)), "worker"]


def missing_workers() -> list[str]:
    """The workers that have given no sign of life for 15 s. Raises redis.RedisError."""
    names = worker_names()
    with redis_server() as client:
        alive = client.mget([keys.worker(name) for name in names])
    return [name for name, sign in zip(names, alive, strict=True) if sign is None]


def _check_database() -> Answer:
    with database() as connection:
        row = connection.execute(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), "
            "to_regclass('telemetry_reading') IS NULL"
        ).fetchone()
    recovering, read_only, empty = row or (True, "on", True)
    if recovering or read_only == "on":
        return Answer(False, "the database takes no writes: it is a standby, or set read-only")
    return Answer(False, "there are no tables: run `manage.py migrate`") if empty else Answer(True)


def _check_log() -> Answer:
    with redis_server() as client:
        if client.info("replication").get("role") != "master":
            return Answer(False, "the log server takes no writes: it is a replica")
    return Answer(True)


def _check_layout() -> Answer:
    with database() as connection:
        row = connection.execute("SELECT open FROM telemetry_loglayout WHERE id = 1").fetchone()
    if row is None:
        return Answer(False, "the log has no layout: run `manage.py migrate`")
    return Answer(True) if row[0] else Answer(False, "intake is closed while the log is given another layout")


def _check_workers() -> Answer:
    missing = missing_workers()
    if missing:
        return Answer(False, f"no sign of life for 15 s from {', '.join(missing)}")
    return Answer(True)


def _check_positions() -> Answer:
    with database() as connection, redis_server() as client:
        found = depths(client, stored_positions(connection))
    late = {shard: depth.oldest_seconds for shard, depth in found.items() if depth.oldest_seconds > _STALE_SECONDS}
    if late:
        worst = max(late, key=lambda shard: late[shard])
        return Answer(False, f"readings of shard {worst} have waited {late[worst]:.0f} s to be stored")
    return Answer(True)


INTAKE_CHECKS: dict[str, Question] = {"database": _check_database, "log": _check_log, "layout": _check_layout}
OTHER_CHECKS: dict[str, Question] = {"workers": _check_workers, "positions": _check_positions}

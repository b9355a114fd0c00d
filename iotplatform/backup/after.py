"""What a restore leaves to be done besides the database: answers of other times forgotten, and the restore written down."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import redis
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from iotplatform.backup.manifest import Manifest
from iotplatform.env import Config
from telemetry.audit import audit

__all__ = ["environment_for", "forget_answers", "write_down"]

_BATCH = 1000


def environment_for(info: str) -> Mapping[str, str]:
    """For a command that is to work on another database of the server."""
    from urllib.parse import quote, urlencode

    parameters = {name: str(value) for name, value in conninfo_to_dict(info).items() if value is not None}
    user, password, name = (quote(parameters.pop(each, ""), safe="") for each in ("user", "password", "dbname"))
    who = f"{user}:{password}@" if password else f"{user}@"
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATABASE_URL_FILE")}
    return {
        **inherited,
        "DATABASE_URL": f"postgresql://{who}/{name}?{urlencode(parameters)}",
        "REDIS_URL": settings.SERVERS["redis_url"],
        "CACHE_URL": settings.SERVERS["cache_url"],
    }


def forget_answers(config: Config, say: Callable[[str], None]) -> None:
    """Answers about closed ranges may be of readings that the restored database has not, and the numbers by which changes
    are told begin again where they were. Only keys of the cache: its server may be the log's too."""
    cache = settings.CACHES["default"]
    client = redis.Redis.from_url(
        str(cache["LOCATION"]),
        socket_timeout=config.redis_timeout_seconds,
        socket_connect_timeout=config.redis_timeout_seconds,
    )
    try:
        with client:
            found = []
            for key in client.scan_iter(match=f"{cache['KEY_PREFIX']}:*:*", count=_BATCH):
                found.append(key)
            for start in range(0, len(found), _BATCH):
                client.delete(*found[start : start + _BATCH])
    except redis.RedisError as error:
        say(
            f"The cache does not answer ({error}): answers of before the restore may be given for as long as they are kept "
            "(QUERY_CACHE_SECONDS). Empty it before the platform starts, if it still has them."
        )


def write_down(manifest: Manifest) -> None:
    """In the audit of the restored database."""
    audit(
        *("database", 0, manifest.name, "created", None, None),
        {"restored_from": manifest.name, "snapshot_at": manifest.snapshot_at, "rows": sum(manifest.rows.values())},
    )

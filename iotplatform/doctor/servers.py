"""The log server and the cache: versions, durability, and that one cannot fill up the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis

from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config
from iotplatform.observability.probes import redis_server

__all__ = ["check_cache", "check_log_server"]

_OLDEST_MAJOR = 7
_MIB = 1 << 20


def check_log_server(config: Config) -> Iterator[Finding]:
    """It keeps what it was given, whatever happens."""
    with redis_server() as client:
        info: dict[str, Any] = client.info()
        settings = _settings(client)
    yield from _version("log", info)
    if info.get("role") != "master":
        yield fail("log", "It takes no writes: it is a replica.", "Point REDIS_URL at the primary.")
    yield from _durability(info, settings)
    yield from _memory(info, config)


def _version(about: str, info: dict[str, Any]) -> Iterator[Finding]:
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    if int(str(info["redis_version"]).partition(".")[0]) < _OLDEST_MAJOR:
        yield fail(about, f"{name} is too old.", f"Upgrade to Redis {_OLDEST_MAJOR} or Valkey.")
    else:
        size = int(info.get("aof_current_size", 0)) / _MIB
        yield ok(about, f"{name}, {info.get('used_memory_human', '?')}B in memory, {size:.0f} MiB on disk.")


def _durability(info: dict[str, Any], settings: dict[str, str]) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        yield fail(
            "log durability",
            "appendonly is off: a crash loses readings that were answered 202.",
            "CONFIG SET appendonly yes, and the same in its configuration file.",
        )
        return
    if info.get("aof_last_write_status", "ok") != "ok":
        yield fail("log durability", "Its last write to disk failed.", "See to its disk: full, read-only or broken.")
    sync = settings.get("appendfsync")
    if sync == "always":
        yield ok("log durability", "Append-only file, synced before every answer.")
    elif sync == "everysec":
        yield warn(
            "log durability",
            "appendfsync is everysec: a power cut loses up to a second of readings that were answered 202.",
            "CONFIG SET appendfsync always",
        )
    elif sync == "no":
        yield fail(
            "log durability",
            "appendfsync is no: a power cut loses up to half a minute of readings that were answered 202.",
            "CONFIG SET appendfsync always",
        )
    else:
        yield warn(
            "log durability",
            "The server does not tell how often it syncs its file (CONFIG is forbidden).",
            "See that appendfsync is always with its provider.",
        )


def _memory(info: dict[str, Any], config: Config) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        yield fail(
            "log memory",
            f"maxmemory-policy is {policy}: when memory is short it deletes readings that were answered 202.",
            "CONFIG SET maxmemory-policy noeviction, and a cache of its own (CACHE_URL).",
        )
        return
    most = int(info.get("maxmemory", 0))
    # What waits, what is kept behind it, and as much again for the server's own overhead.
    wanted = 5 * (config.log_max_bytes + config.log_keep_bytes) // 4
    if most and most < wanted:
        yield warn(
            "log memory",
            f"maxmemory is {most // _MIB} MiB, but LOG_MAX_BYTES and LOG_KEEP_BYTES may want {wanted // _MIB} MiB.",
            f"Raise maxmemory to {wanted // _MIB}mb (embedded: LOG_REDIS_MAXMEMORY), or lower these settings.",
        )
    else:
        limit = f"{most // _MIB} MiB" if most else "no limit"
        yield ok("log memory", f"noeviction, {limit}; intake pauses at {config.log_max_bytes // _MIB} MiB waiting.")


def check_cache(config: Config) -> Iterator[Finding]:
    """It answers, and is not the log."""
    urls = config.server_urls()
    with redis_server(urls["cache_url"]) as cache, redis_server(urls["redis_url"]) as log:
        info: dict[str, Any] = cache.info()
        same = info["run_id"] == log.info("server")["run_id"]
    if same:
        yield warn(
            "cache",
            "The cache is the same server as the log, and can fill the memory that readings need.",
            "Give the cache a server of its own: CACHE_URL=redis://…",
        )
        return
    yield from _version("cache", info)
    if info.get("maxmemory_policy") == "noeviction" and int(info.get("maxmemory", 0)):
        yield warn(
            "cache", "It evicts nothing, so it fails once it is full.", "CONFIG SET maxmemory-policy allkeys-lru"
        )


def _settings(client: redis.Redis) -> dict[str, str]:
    try:
        found: Any = client.config_get("appendfsync")
    except redis.ResponseError:  # managed services forbid CONFIG
        return {}
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

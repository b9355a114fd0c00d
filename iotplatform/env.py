"""Settings from ``config.yaml`` and the environment, read and checked once. Nothing else reads either.

A value is looked up as an environment variable (the key in capitals), then in ``config.yaml``. Secrets come
from the environment or from the file that ``<NAME>_FILE`` names, never from ``config.yaml``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from iotplatform.setting_kinds import Choice, ConfigError, Number, Text
from iotplatform.tunables import TUNABLES

BASE_DIR = Path(__file__).resolve().parent.parent
CONFIG_FILE = BASE_DIR / "config.yaml"


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting, parsed. Times in the unit their name says, sizes in bytes, rates in readings per second."""

    web_processes: int
    web_threads: int
    drain_workers: int
    allowed_hosts: str
    metrics_networks: str
    max_body_bytes: int
    max_values_per_request: int
    max_future_seconds: int
    max_age_days: int
    max_series_per_device: int
    max_wait_seconds: float
    key_rate_limit: int
    idempotency_hours: int
    idempotency_max_keys: int
    shards: int
    log_keep_seconds: int
    log_keep_bytes: int
    log_max_bytes: int
    log_redis_maxmemory: str
    redis_timeout_seconds: float
    drain_max_rows: int
    drain_attempts: int
    sweep_seconds: float
    database_timeout_seconds: float
    last_seen_flush_seconds: int
    registry_poll_seconds: float
    timeseries_engine: str
    timeseries_columnar: str
    columnar_min_rows: int
    compact_after_minutes: int
    columnar_chunk_rows: int
    partition_days: int
    partitions_ahead: int
    raw_retention_days: int
    compress_after_days: int
    quarantine_max_rows: int
    quarantine_per_device_per_minute: int
    rollup_refresh_seconds: int
    rollup_delay_seconds: int
    quarantine_keep_days: int
    receipt_keep_days: int
    query_timeout_seconds: float
    query_max_rows: int
    query_max_points: int
    query_cache_seconds: int
    query_stale_seconds: int
    alert_flapping_openings: int
    alert_flapping_minutes: float
    alert_group_seconds: float
    alert_timeout_seconds: float
    alert_retry_hours: float
    alert_egress_allow: str
    alert_keep_days: int
    email_from: str
    login_attempts: int
    login_address_attempts: int
    login_wait_seconds: int
    login_max_wait_seconds: int
    api_rate_limit: int
    api_anonymous_rate_limit: int
    audit_keep_days: int
    jwt_issuer: str
    jwt_jwks_url: str
    jwt_audience: str
    jwt_roles_claim: str
    export_folder: str
    export_keep_days: int
    export_max_rows: int
    export_link_days: int
    export_s3_endpoint: str
    export_s3_bucket: str
    export_s3_region: str
    export_s3_prefix: str
    export_s3_allow: str
    backup_folder: str
    backup_every_hours: int
    backup_scheduler: str
    backup_at: str
    backup_keep_daily: int
    backup_keep_weekly: int
    backup_keep_monthly: int
    backup_jobs: int
    tracing_endpoint: str
    tracing_sample: float
    simulator: str
    simulator_devices: int
    simulator_rate: float
    # from the environment only
    host: str
    port: int
    run_dir: Path
    database_url: str | None
    redis_url: str | None
    cache_url: str | None
    public_url: str | None
    trusted_proxies: str
    email_url: str | None
    debug: bool
    metrics_token: str | None
    metrics_port: int
    reader_password: str | None
    tracing_headers: dict[str, str]
    export_s3_access_key: str | None
    export_s3_secret_key: str | None
    backup_recipient: str | None
    backup_passphrase: str | None
    backup_identity: str | None
    multiprocess_metrics_dir: str | None
    admin_password: str | None
    process_name: str

    def server_urls(self) -> dict[str, str]:
        """URLs of the database, the log and the cache: the environment's, else those of the embedded servers.

        Raises ConfigError where neither names a server.
        """
        urls = {"database_url": self.database_url, "redis_url": self.redis_url, "cache_url": self.cache_url}
        if not all(urls.values()):
            recorded = _read_servers_file(self.run_dir / "servers.json")
            urls = {name: url or recorded.get(name) for name, url in urls.items()}
        # A single Redis of one's own may serve as the cache as well, in a database of its own.
        urls["cache_url"] = urls["cache_url"] or urls["redis_url"]
        for name in ("database_url", "redis_url"):
            if not urls[name]:
                raise ConfigError(self._unknown_server(name))
        return {name: url for name, url in urls.items() if url}

    def _unknown_server(self, name: str) -> str:
        recorded, variable = self.run_dir / "servers.json", name.upper()
        if recorded.exists():
            return (
                f"{variable} is not set here, and the platform in {self.run_dir} was started with one: set the same, for "
                f"example {_EXAMPLE_URLS[name]}"
            )
        return (
            f"{variable} is not set and no embedded server is recorded in {recorded}: start the platform with `make run`, or "
            f"set {variable}, for example {_EXAMPLE_URLS[name]}"
        )

    def secret_key(self) -> str:
        """The signing secret: SECRET_KEY, SECRET_KEY_FILE, else a random one kept in RUN_DIR (mode 0600)."""
        given = _secret(os.environ, "SECRET_KEY")
        if given is not None:
            if len(given) < 32:
                raise ConfigError(
                    "SECRET_KEY must have at least 32 characters, for example the output of `openssl rand -hex 32`"
                )
            return given
        return _kept_secret(self.run_dir / "secret-key")

    def secret_key_fallbacks(self) -> list[str]:
        """Former values of SECRET_KEY (SECRET_KEY_FALLBACKS, with commas or new lines between them): still read with."""
        return [each for each in re.split(r"[,\s]+", _secret(os.environ, "SECRET_KEY_FALLBACKS") or "") if each]


_EXAMPLE_URLS = {
    "database_url": "DATABASE_URL=postgresql://iot:secret@127.0.0.1:5432/iot",
    "redis_url": "REDIS_URL=redis://127.0.0.1:6379/0",
    "cache_url": "CACHE_URL=redis://127.0.0.1:6379/1",
}
_URL_SCHEMES = {
    "DATABASE_URL": ("postgresql://", "postgres://"),
    "REDIS_URL": ("redis://", "rediss://", "unix://"),
    "CACHE_URL": ("redis://", "rediss://", "unix://"),
    "PUBLIC_URL": ("http://", "https://"),
    "EMAIL_URL": ("smtp://", "smtps://", "console://"),
}


def load(environ: Mapping[str, str] | None = None, config_file: Path = CONFIG_FILE) -> Config:
    """Read and check everything. Raises ConfigError with the variable's name and an example of a right value."""
    environ = os.environ if environ is None else environ
    try:
        written = yaml.safe_load(config_file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{config_file} cannot be read: {error}") from error
    unknown = sorted(set(written) - set(TUNABLES))
    if unknown:
        raise ConfigError(f"{config_file} has unknown keys: {', '.join(unknown)}; known are {', '.join(TUNABLES)}")
    values: dict[str, Any] = {}
    for key, kind in TUNABLES.items():
        name = key.upper()
        if name in environ:
            values[key] = kind.parse(name, environ[name])
        elif key in written:
            values[key] = kind.parse(name, written[key])
        else:
            raise ConfigError(f"{name} is neither in {config_file} nor in the environment")
    values["host"] = Text(r"[0-9A-Za-z.:\-\[\]]+", "127.0.0.1").parse("HOST", environ.get("HOST", "127.0.0.1"))
    values["port"] = Number(1, 65_535, "8000").parse("PORT", environ.get("PORT", "8000"))
    values["run_dir"] = Path(environ.get("RUN_DIR") or ".run").expanduser()
    if not values["run_dir"].is_absolute():
        values["run_dir"] = BASE_DIR / values["run_dir"]
    for name in _URL_SCHEMES:
        values[name.lower()] = _url(name, _secret(environ, name))
    proxies = environ.get("TRUSTED_PROXIES", "")
    values["trusted_proxies"] = TUNABLES["metrics_networks"].parse("TRUSTED_PROXIES", proxies)
    values["debug"] = Choice(("off", "on")).parse("DEBUG", environ.get("DEBUG", "off")) == "on"
    values["metrics_port"] = Number(0, 65_535, "9101").parse("METRICS_PORT", environ.get("METRICS_PORT", "0"))
    values["metrics_token"] = _secret(environ, "METRICS_TOKEN")
    values["reader_password"] = _secret(environ, "READER_PASSWORD")
    values["tracing_headers"] = _headers("TRACING_HEADERS", _secret(environ, "TRACING_HEADERS"))
    values["export_s3_access_key"] = _secret(environ, "EXPORT_S3_ACCESS_KEY")
    values["export_s3_secret_key"] = _secret(environ, "EXPORT_S3_SECRET_KEY")
    for name in ("backup_recipient", "backup_passphrase", "backup_identity"):
        values[name] = _secret(environ, name.upper())
    if values["backup_recipient"] and values["backup_passphrase"]:
        raise ConfigError("BACKUP_RECIPIENT and BACKUP_PASSPHRASE are two ways to encrypt backups: set one of them")
    values["multiprocess_metrics_dir"] = environ.get("PROMETHEUS_MULTIPROC_DIR")
    values["admin_password"] = _secret(environ, "DJANGO_SUPERUSER_PASSWORD")
    values["process_name"] = environ.get("PROCESS_NAME", "manage")
    issuer = [values[f"jwt_{name}"] for name in ("issuer", "jwks_url", "audience")]
    if any(issuer) and not all(issuer):
        # Without an audience, tokens that the same provider made for other services would be good here.
        raise ConfigError("JWT_ISSUER, JWT_JWKS_URL and JWT_AUDIENCE go together: set all three, or none")
    store = [values[f"export_s3_{name}"] for name in ("endpoint", "bucket", "access_key", "secret_key")]
    if any(store) and not all(store):
        raise ConfigError(
            "EXPORT_S3_ENDPOINT, EXPORT_S3_BUCKET, EXPORT_S3_ACCESS_KEY and EXPORT_S3_SECRET_KEY go together: "
            "set all four (the keys in the environment or as *_FILE), or none"
        )
    assert set(values) == {field.name for field in fields(Config)}
    return Config(**values)


def _url(name: str, url: str | None) -> str | None:
    if url is not None and not url.startswith(_URL_SCHEMES[name]):
        example = _EXAMPLE_URLS.get(name.lower(), f"{name}={_URL_SCHEMES[name][0]}host")
        raise ConfigError(f"{name} must start with {' or '.join(_URL_SCHEMES[name])}, for example {example}")
    return url


def _headers(name: str, text: str | None) -> dict[str, str]:
    """``name=value`` pairs with commas between them."""
    pairs = [pair.partition("=") for pair in (text or "").split(",") if pair.strip()]
    if not all(key.strip() and value.strip() for key, _, value in pairs):
        raise ConfigError(f"{name} must be pairs with commas between them, for example {name}=Authorization=Bearer abc")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    """A value from the environment, or from the file that NAME_FILE names; empty counts as unset."""
    if environ.get(name):
        return environ[name]
    path = environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text().strip() or None
    except OSError as error:
        raise ConfigError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error


def _kept_secret(path: Path) -> str:
    """A random secret, made once and kept in a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        secret = secrets.token_urlsafe(48)
        file.write(secret)
    return secret


def _read_servers_file(path: Path) -> dict[str, str]:
    try:
        recorded = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); delete it and run `make run` again") from error
    return {str(name): str(url) for name, url in recorded.items()}


config = load()

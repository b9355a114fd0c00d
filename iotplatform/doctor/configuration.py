"""Settings that are valid each for itself, but not wise together."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.core.checks import ERROR, run_checks

from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config

__all__ = ["check_code", "check_configuration"]

_LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost")


def check_configuration(config: Config) -> Iterator[Finding]:
    """Reads no server."""
    yield ok("configuration", "config.yaml and the environment are valid.")
    public = urlsplit(config.public_url or "")
    if config.debug:
        yield warn("configuration", "DEBUG is on: errors show source code and settings.", "Leave DEBUG unset.")
    if "*" in config.allowed_hosts:
        yield warn(
            "configuration",
            "ALLOWED_HOSTS takes any host name, so links in answers can be forged.",
            "Name the hosts: ALLOWED_HOSTS=iot.example.org",
        )
    if config.host not in _LOOPBACK and not config.public_url:
        yield warn(
            "configuration",
            f"The site listens on {config.host}, but PUBLIC_URL does not say how people reach it.",
            "Set PUBLIC_URL=https://iot.example.org",
        )
    if public.scheme == "http" and public.hostname not in _LOOPBACK:
        yield warn(
            "configuration",
            "PUBLIC_URL is plain http: keys and passwords can be read on the way.",
            "Put a proxy with TLS in front and set PUBLIC_URL=https://…",
        )
    if not config.metrics_networks and not config.metrics_token:
        yield warn("configuration", "Nobody may read /metrics.", "Set METRICS_NETWORKS=10.0.0.0/8 or METRICS_TOKEN.")
    if config.raw_retention_days and config.raw_retention_days < config.max_age_days:
        yield warn(
            "configuration",
            f"Readings of {config.max_age_days} days ago are taken, yet dropped at {config.raw_retention_days}.",
            "Make MAX_AGE_DAYS smaller than RAW_RETENTION_DAYS.",
        )


def check_code() -> Iterator[Finding]:
    """Django's own system checks."""
    for message in run_checks():
        if message.level >= ERROR:
            yield fail("code", f"{message.id}: {message.msg}", str(message.hint or "See `manage.py check`."))

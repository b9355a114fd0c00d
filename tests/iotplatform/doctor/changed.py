"""Configurations for tests, whatever the environment of the run says."""

from dataclasses import replace
from typing import Any

from iotplatform.env import Config


def changed(config: Config, **changes: Any) -> Config:
    """A harmless configuration but for these changes."""
    harmless: dict[str, Any] = {
        "debug": False,
        "allowed_hosts": "localhost",
        "host": "127.0.0.1",
        "public_url": None,
        "metrics_networks": "127.0.0.0/8",
        "raw_retention_days": 0,
        "max_age_days": 30,
    }
    return replace(config, **{**harmless, **changes})

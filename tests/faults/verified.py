"""Whether each reading of a platform is there once: what `manage.py verify_readings` looks at, after every scenario."""

from __future__ import annotations

import psycopg

from telemetry.store.verify import verify_all

__all__ = ["unsound"]


def unsound(database_url: str, at_least: int) -> list[str]:
    """What is wrong with the readings that are stored, all of them and whoever sent them; ``at_least`` so many must have
    been looked at."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        found = verify_all(connection)
    wrong = [f"verify_readings: {fault}" for fault in found.faults()]
    if found.readings < at_least:
        wrong.append(f"verify_readings looked at {found.readings} readings, {at_least} are stored")
    return wrong

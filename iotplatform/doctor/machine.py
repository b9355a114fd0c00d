"""This machine: its clock against those of the servers, and its disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

from iotplatform.doctor.findings import Finding, fail, ok, warn
from iotplatform.env import Config
from iotplatform.observability.probes import database, redis_server

__all__ = ["check_clocks", "check_disk", "judge_disk", "judge_skew"]

_GIB = 1 << 30
_SUSPICIOUS_SECONDS = 2.0
_WRONG_SECONDS = 60.0


def check_clocks() -> Iterator[Finding]:
    """This machine times what senders left undated, the log server tells ages, the database dates rows."""
    with database() as connection:
        before = time.time()
        row: Any = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        yield judge_skew("database", row[0] - (before + time.time()) / 2)
    with redis_server() as client:
        client.ping()
        before = time.time()
        answer: Any = client.time()
        yield judge_skew("log server", answer[0] + answer[1] / 1e6 - (before + time.time()) / 2)


def judge_skew(server: str, seconds: float) -> Finding:
    """`seconds`: how far the server's clock is ahead of this machine's."""
    direction = "ahead of" if seconds > 0 else "behind"
    text = f"The {server}'s clock is {abs(seconds):.1f} s {direction} this machine's."
    mend = "Let NTP (chrony, systemd-timesyncd) set the clocks of all machines."
    if abs(seconds) > _WRONG_SECONDS:
        return fail("clock", text, mend)
    if abs(seconds) > _SUSPICIOUS_SECONDS:
        return warn("clock", text, mend)
    return ok("clock", f"The {server}'s clock agrees with this machine's within {max(0.01, abs(seconds)):.2f} s.")


def check_disk(config: Config) -> Iterator[Finding]:
    """Where the embedded servers keep their data."""
    usage = shutil.disk_usage(config.run_dir if config.run_dir.exists() else config.run_dir.parent)
    yield judge_disk(str(config.run_dir), usage.free, usage.total)


def judge_disk(folder: str, free: int, total: int) -> Finding:
    """Sizes in bytes."""
    text = f"{free / _GIB:.1f} GiB of {total / _GIB:.0f} GiB are free in {folder}."
    mend = "Make room, set RAW_RETENTION_DAYS, or move RUN_DIR to a larger disk."
    if free < _GIB // 4:
        return fail("disk", text, mend)
    if free < _GIB or free < total // 20:
        return warn("disk", text, mend)
    return ok("disk", text)

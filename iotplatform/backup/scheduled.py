"""Backups that beat has made: a process of their own beside the general worker, that ends with it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading

from django.db import connection as django_connection
from django.db import transaction
from django.utils import timezone

from alerts import about_platform
from alerts.about_platform import Trouble
from iotplatform.backup.history import past
from iotplatform.backup.schedule import due, problem
from iotplatform.env import BASE_DIR, Config
from iotplatform.launcher import orphans

__all__ = ["ScheduledBackups", "look_after_backups", "worker"]

logger = logging.getLogger(__name__)


class ScheduledBackups:
    """At most one at a time in this worker; the database's lock sees to the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def pump(self, config: Config) -> bool:
        """Start one if it is due. Returns at once; answers whether it did."""
        with self._lock:
            if (self._thread is not None and self._thread.is_alive()) or not due(past(), timezone.now(), config):
                return False
            self._thread = threading.Thread(target=_run, name="backup", daemon=True)
            self._thread.start()
            return True

    def wait(self, seconds: float) -> bool:
        """Until it is over; False where it is not by then."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()


def look_after_backups(config: Config) -> None:
    """Open or clear the platform's alert about its backups."""
    text = problem(past(), timezone.now(), config)
    if not text:
        about_platform.over(Trouble.BACKUPS_MISSING, 0)
        return
    text += " `manage.py doctor` and the worker's log say more; `manage.py backup` makes one now."
    with transaction.atomic():
        django_connection.ensure_connection()
        about_platform.report(django_connection.connection, Trouble.BACKUPS_MISSING, 0, text)


def _run() -> None:
    # The thread that starts the process waits for it: it would be ended with the thread.
    argv = [sys.executable, str(BASE_DIR / "manage.py"), "backup", "--scheduled"]
    inherited = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    done = subprocess.run(  # noqa: S603 - our own words
        orphans.wrapped(argv, signal.SIGTERM, environment={"PROCESS_NAME": "backup"}),
        cwd=BASE_DIR,
        env=inherited,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    said = (done.stderr or done.stdout).strip()[-2000:]
    if done.returncode == 0:
        logger.info("backup_made", extra={"said": done.stdout.strip()[-500:]})
    else:
        logger.error("backup_failed", extra={"exit_code": done.returncode, "said": said})


#: That of this process.
worker = ScheduledBackups()

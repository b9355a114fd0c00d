"""The reverse proxy that we ship, run by a test with the machine's nginx."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from iotplatform.env import BASE_DIR
from tests.live import free_port

__all__ = ["START", "Proxy", "nginx"]

START = BASE_DIR / "deploy" / "nginx" / "start"
_START_SECONDS = 20.0


def nginx() -> str:
    """Where nginx is. Raises AssertionError where it is missing."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "nginx is missing: make programs (apt-get install nginx)"
    return found


class Proxy:
    """deploy/nginx/start on a free loopback port; a context manager. ``folder`` is made; ``settings`` as in the script."""

    def __init__(self, folder: Path, upstreams: Sequence[int], **settings: str) -> None:
        self.port = free_port()
        self._folder = folder
        self._environment = {
            **os.environ,
            "NGINX": nginx(),
            "NGINX_DIR": str(folder),
            "LISTEN": f"127.0.0.1:{self.port}",
            "UPSTREAMS": ",".join(f"127.0.0.1:{port}" for port in upstreams),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, *self._folder.parents[:-2]):  # started by root, its workers are another user
            folder.chmod(folder.stat().st_mode | 0o055)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [START], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, f"nginx ended:\n{self.log()}"
            assert time.monotonic() < end, f"nginx does not listen:\n{self.log()}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "nginx.log"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

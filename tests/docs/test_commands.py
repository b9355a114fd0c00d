"""Every command of the documents, as it is printed, in the order of its page; or marked with the reason why not."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR
from tests.docs.blocks import DOCUMENTS, Block, blocks
from tests.docs.terminal import Terminal
from tests.live import LivePlatform, free_port

PAGES = {str(path.relative_to(BASE_DIR)): blocks(path) for path in DOCUMENTS}
EVERY = [block for page in PAGES.values() for block in page]
#: Pages that start the platform themselves.
STARTING = [page for page, known in PAGES.items() if any("make run" in block.text and block.until for block in known)]
#: Pages for which no process may run: what they do wants the platform stopped.
STOPPED = ["docs/backup.md"]
#: Pages that change the platform for good have one of their own.
ALONE = ["docs/operations.md"]
SHARING = [page for page in PAGES if page not in (*STARTING, *STOPPED, *ALONE)]
#: How many blocks each page may leave unrun. Whoever adds one says so here, and beside it why.
NOT_RUN = {
    "CONTRIBUTING.md": 2,
    "README.md": 1,
    "docs/backup.md": 5,
    "docs/kubernetes.md": 4,
    "docs/monitoring.md": 1,
    "docs/operations.md": 3,
    "docs/upgrade.md": 2,
}


def to_run(page: str) -> list[Block]:
    return [block for block in PAGES[page] if block.not_run is None]


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    assert len(EVERY) > 25, "the pattern still finds them"
    assert all(block.not_run != "" for block in EVERY)
    assert Counter(block.document for block in EVERY if block.not_run is not None) == NOT_RUN


@pytest.mark.parametrize("block", EVERY, ids=str)
def test_it_is_shell(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True)
    assert not checked.returncode, checked.stderr


def test_no_command_hides_in_a_block_of_another_kind() -> None:
    for path in DOCUMENTS:
        fence = ""
        for line in path.read_text().splitlines():
            if line.strip().startswith("```"):
                fence = "" if fence else line.strip()
            elif fence in ("```", "```bash", "```shell", "```console"):
                assert not line.strip().startswith(("manage.py ", "curl ", "make ", "$ ")), f"{path.name}: {line}"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="iot-docs-", dir="/tmp") as folder:
        # As root the embedded database runs as somebody else, who has to get through.
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[LivePlatform]:
    with (
        tempfile.TemporaryDirectory(prefix="iot-docs-", dir="/tmp") as folder,
        LivePlatform(Path(folder) / "run") as platform,
    ):
        platform.manage("ensure_admin")
        yield platform


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in STARTING if to_run(page)])
def test_a_page_that_starts_the_platform(page: str, folder: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "HOST": "127.0.0.1", "SIMULATOR_RATE": "20"}
    for name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL", "SIMULATOR", "TEST_DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    with Terminal(folder / "at", folder / "run", f"http://127.0.0.1:{port}", environment) as terminal:
        for block in to_run(page):
            terminal.run(block)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in SHARING if to_run(page)])
def test_a_page_beside_a_running_platform(page: str, folder: Path, shared: LivePlatform) -> None:
    run_all(page, folder, shared)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in (*ALONE, *STOPPED) if page in PAGES])
def test_a_page_with_a_platform_of_its_own(page: str, folder: Path) -> None:
    processes = () if page in STOPPED else None
    with LivePlatform(folder / "run", run=processes) as platform:
        platform.manage("ensure_admin")
        run_all(page, folder, platform)


def run_all(page: str, folder: Path, platform: LivePlatform) -> None:
    with Terminal(folder / "at", platform.run_dir, platform.url, platform.environment) as terminal:
        for block in to_run(page):
            terminal.run(block)

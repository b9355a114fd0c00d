"""`./manage.py` works as it stands in the documents, whichever Python a terminal finds first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR


def test_it_can_be_started_by_its_name() -> None:
    assert os.access(BASE_DIR / "manage.py", os.X_OK)


@pytest.mark.skipif(
    not (BASE_DIR / ".venv").exists() and os.environ.get("CI") != "true", reason="tests run without .venv here"
)
def test_an_interpreter_without_the_packages_goes_on_with_that_of_the_virtual_environment(tmp_path: Path) -> None:
    bare = [sys.executable, "-S", "-c"]  # without site-packages
    program = (
        "import runpy, sys; "
        f"sys.path.insert(0, {str(BASE_DIR)!r}); sys.argv = [{str(BASE_DIR / 'manage.py')!r}, 'version']; "
        f"runpy.run_path({str(BASE_DIR / 'manage.py')!r}, run_name='__main__')"
    )
    # Another name for the same interpreter, which is not that of .venv.
    other = tmp_path / "python"
    other.symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = {
        "PATH": "/usr/bin:/bin",
        "RUN_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [other, *bare[1:], program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5."), done.stdout


@pytest.mark.parametrize("started", [False, True])
def test_without_the_address_of_the_database_it_says_where_to_get_it(tmp_path: Path, started: bool) -> None:
    if started:
        (tmp_path / "servers.json").write_text('{"redis_url": "redis://127.0.0.1:1/0"}')
    environment = {"PATH": "/usr/bin:/bin", "RUN_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "check"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "DATABASE_URL is not set" in said and "postgresql://" in said
    assert ("was started with one" in said) is started
    assert ("make run" in said) is not started

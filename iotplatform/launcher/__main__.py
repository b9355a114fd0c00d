"""`python -m iotplatform.launcher`: run the platform in the foreground until Ctrl-C or SIGTERM.

With ``--servers`` the embedded servers alone: for a restore, which wants the platform stopped and its database running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iotplatform.env_errors import readable_configuration_errors
from iotplatform.launcher.checks import check_port
from iotplatform.launcher.errors import LaunchError
from iotplatform.launcher.output import Output
from iotplatform.launcher.rundir import RunDir

if TYPE_CHECKING:
    from iotplatform.env import Config

_OPEN_FILES = 65_536


def main(arguments: Sequence[str] = ()) -> int:
    """Exit code: 0 after a stop that was asked for, 1 with one clear message where the start failed."""
    parser = argparse.ArgumentParser(
        prog="python -m iotplatform.launcher", description="Run the platform until Ctrl-C."
    )
    parser.add_argument("--servers", action="store_true", help="only the embedded servers, nothing of the platform")
    servers_alone = parser.parse_args(arguments).servers
    with readable_configuration_errors():
        from iotplatform.env import config
    try:
        _run(config, servers_alone)
    except LaunchError as error:
        return _fail(str(error))
    except OSError as error:  # a full disk, a file of another user inside RUN_DIR
        return _fail(f"{error.strerror}: {error.filename or error}")
    return 0


def _run(config: Config, servers_alone: bool) -> None:
    _allow_many_open_files()
    run_dir = RunDir(config.run_dir)
    try:
        if not servers_alone:
            check_port(config.host, config.port)
        output = Output(run_dir.logs)
        try:
            asyncio.run(_launch(config, run_dir, output, servers_alone))
        finally:
            output.close()
    finally:
        run_dir.close()


async def _launch(config: Config, run_dir: RunDir, output: Output, servers_alone: bool) -> None:
    from iotplatform.launcher.launch import Launch

    await Launch(config, run_dir, output, servers_alone=servers_alone).run()


def _allow_many_open_files() -> None:
    """Raise the usual 1,024 as far as allowed, for all that is started here: every connection is an open file."""
    current, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    if resource.RLIM_INFINITY != current < wanted:
        with contextlib.suppress(ValueError):  # a lower limit of the kernel's own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _fail(message: str) -> int:
    print(f"make run: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

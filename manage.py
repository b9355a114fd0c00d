#!/usr/bin/env python3
"""Django's command line. `make run` starts the platform; `./manage.py doctor` says what is wrong with it."""

import importlib.util
import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    from iotplatform.env_errors import readable_configuration_errors

    with readable_configuration_errors():
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


def use_own_packages() -> None:
    """Started by an interpreter that has not what the platform needs: go on with that of `.venv`, where there is one."""
    own = Path(__file__).resolve().parent / ".venv" / "bin" / "python"
    if importlib.util.find_spec("django") is None and own.exists() and Path(sys.executable) != own:
        os.execv(own, [str(own), *sys.argv])  # noqa: S606 - our own interpreter


if __name__ == "__main__":
    use_own_packages()
    main()

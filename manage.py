#!/usr/bin/env python
"""Django's command line. `make run` starts the platform; `./manage.py doctor` says what is wrong with it."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    from iotplatform.env_errors import readable_configuration_errors

    with readable_configuration_errors():
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

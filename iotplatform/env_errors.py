"""Wrong settings stop a command with one readable line instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def readable_configuration_errors() -> Iterator[None]:
    """Print a ConfigError (or Django's wrapping of one) as a line and exit with status 2."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ not in ("ConfigError", "ImproperlyConfigured"):
            raise
        sys.exit(f"Configuration: {error}")

"""Which version of the platform this is; the same as in pyproject.toml."""

__all__ = ["VERSION"]

VERSION = "0.1.0"

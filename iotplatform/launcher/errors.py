"""The one error that ends a start."""

__all__ = ["LaunchError"]


class LaunchError(Exception):
    """The platform cannot start. Its text is the whole message that the user sees: no traceback follows."""

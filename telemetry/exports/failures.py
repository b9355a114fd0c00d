"""Why an export could not be made.

ExportFailure        with words for whoever reads the history; tried again
└─ ExportRefused     trying again changes nothing until somebody changes something
LeaseLost            another worker has taken the run over; nothing is noted
"""

from __future__ import annotations

__all__ = ["ExportFailure", "ExportRefused", "LeaseLost"]


class ExportFailure(Exception):
    """The message says what failed, and where it can be mended, how."""


class ExportRefused(ExportFailure):
    """As long as things are as they are it will fail again."""


class LeaseLost(Exception):
    """The run is not ours any more."""

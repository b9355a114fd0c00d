"""The admin of thresholds."""

from thresholds.admin import device, threshold

__all__ = ["device", "threshold"]

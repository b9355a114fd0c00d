"""Files in a folder of this machine (or one that is mounted): written under another name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from telemetry.exports.failures import ExportFailure

__all__ = ["folder", "open_stored", "publish", "remove", "scratch", "sweep"]

_SCRATCH = ".unfinished"


def folder() -> Path:
    """Where files of exports go."""
    given = settings.PLATFORM.export_folder
    return Path(given) if given else Path(settings.PLATFORM.run_dir) / "exports"


def scratch(name: str) -> Path:
    """A place for a file that is being written, on the same file system. Raises ExportFailure in words."""
    try:
        place = folder() / _SCRATCH
        place.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = place / name
        # Written to here once, so that a folder that cannot be written to is told before the work and not after it.
        path.touch(mode=0o640)
    except OSError as error:
        raise unwritable(error) from error
    return path


def sweep(run: int) -> None:
    """Remove what attempts that were killed left of this run."""
    for left in (folder() / _SCRATCH).glob(f"{run}-*"):
        left.unlink(missing_ok=True)


def publish(made: Path, location: str, still_ours: Callable[[], None]) -> None:
    """Give a finished file its name: it is there whole or not at all, also when the machine loses its power.

    `still_ours` raises where it should not be. Raises ExportFailure.
    """
    place = folder() / location
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        _sync(made)
        still_ours()
        made.replace(place)
        _sync(place.parent)
    except OSError as error:
        raise unwritable(error) from error


def open_stored(location: str) -> BinaryIO | None:
    """The file, or None where it is no more. Raises OSError where the folder cannot be read."""
    try:
        return _within(location).open("rb")
    except FileNotFoundError:
        return None


def remove(location: str) -> None:
    """It may be gone already. Raises OSError."""
    path = _within(location)
    path.unlink(missing_ok=True)
    if path.parent != folder() and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def unwritable(error: OSError) -> ExportFailure:
    """What the system says about the folder."""
    return ExportFailure(f"The folder {folder()} cannot be written to: {error.strerror or error}.")


def _within(location: str) -> Path:
    path = (folder() / location).resolve()
    if not path.is_relative_to(folder().resolve()):
        raise FileNotFoundError(location)
    return path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

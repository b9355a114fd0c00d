"""Whether the collected static files still are what their sources say."""

from pathlib import Path

__all__ = ["is_current", "mark_current"]

_MARK = Path("static-root") / ".collected"


def is_current(project: Path) -> bool:
    """Whether nothing that goes into them has changed since `mark_current`."""
    try:
        collected = (project / _MARK).stat().st_mtime
    except FileNotFoundError:
        return False
    return all(source.stat().st_mtime <= collected for source in _sources(project))


def mark_current(project: Path) -> None:
    """Remember that they were collected just now."""
    (project / _MARK).parent.mkdir(exist_ok=True)
    (project / _MARK).touch()


def _sources(project: Path) -> list[Path]:
    """What our own apps bring, and the versions of the packages that bring the rest."""
    brought = (path for pattern in ("*/static/**/*", "*/*/static/**/*") for path in project.glob(pattern))
    return [project / "requirements.txt", *(path for path in brought if path.is_file())]

"""One run, from its claim to the file in its place or to the reason why there is none."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils.text import slugify

from telemetry.exports import folder, queue
from telemetry.exports.failures import ExportFailure, ExportRefused, LeaseLost
from telemetry.exports.files import open_file
from telemetry.exports.pieces import pieces
from telemetry.exports.question import question_of
from telemetry.exports.rights import require_rights
from telemetry.models import ExportRun, Series
from telemetry.query.question import Limits, Question

__all__ = ["location_of", "perform"]

logger = logging.getLogger(__name__)
#: Of one statement; the server's own limit for this platform is a little longer.
_STATEMENT_SECONDS = 25.0
_KEEP_EVERY = queue.LEASE.total_seconds() / 6
_OURS = "Something of the platform itself failed; the log of the worker says what."


def perform(run: ExportRun) -> None:
    """Make the file of a claimed run and note what became of it."""
    try:
        try:
            queue.complete(run, _made(run))
        except ExportFailure as error:
            queue.failed(run, str(error), for_good=isinstance(error, ExportRefused))
        except (OperationalError, InterfaceError) as error:
            logger.warning("export_without_database", extra={"run": run.pk, "error": str(error)})
            queue.failed(run, "The database did not answer.")
        except OSError as error:
            queue.failed(run, f"The file could not be written: {error.strerror or error}.")
        except LeaseLost:
            raise
        except Exception:
            logger.exception("export_failed", extra={"run": run.pk})
            queue.failed(run, _OURS)
    except LeaseLost:
        logger.warning("export_lease_lost", extra={"run": run.pk})
    except (OperationalError, InterfaceError) as error:
        # The lease runs out, and it is made again.
        logger.warning("export_not_noted", extra={"run": run.pk, "error": str(error)})


def location_of(run: ExportRun) -> str:
    """Name of the file below the folder, or of the object below the prefix: by export, then by period."""
    zone = ZoneInfo(run.export.zone)
    first, last = (moment.astimezone(zone).date() for moment in (run.period_start, run.period_end))
    return f"{run.export.pk}-{slugify(run.export.name)[:60] or 'export'}/{first}_{last}_{run.pk}.{run.format}"


def _made(run: ExportRun) -> queue.Made:
    export, owner = run.export, run.export.query.owner
    require_rights(owner)
    question = question_of(export.query, owner, run.period_start, run.period_end, export.zone)
    folder.sweep(run.pk)
    path = folder.scratch(f"{run.pk}-{run.claim}")
    try:
        rows = _write(run, question, path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size, location = path.stat().st_size, location_of(run)
        _put(run, path, location, sha256)
    finally:
        path.unlink(missing_ok=True)
    return queue.Made(location, rows, size, sha256, _devices(question))


def _write(run: ExportRun, question: Question, path: Path) -> int:
    """Answers how many rows there are."""
    platform, kept = settings.PLATFORM, keeper(run)
    limits = Limits(platform.query_max_rows, platform.query_max_points, _STATEMENT_SECONDS)
    file = open_file(run.format, path, question, _notes(run))
    try:
        for piece in pieces(question, limits):
            file.write(piece)
            if file.rows > platform.export_max_rows:
                raise ExportRefused(
                    f"The file would have more than {platform.export_max_rows:,} rows: ask with a wider bucket, for fewer "
                    "devices, or set EXPORT_MAX_ROWS."
                )
            kept()
    finally:
        file.close()
    return file.rows


def keeper(run: ExportRun) -> Callable[[], None]:
    """To be called often: renews the lease now and then. Raises LeaseLost."""
    last = time.monotonic()

    def kept() -> None:
        nonlocal last
        if time.monotonic() - last >= _KEEP_EVERY:
            queue.keep(run)
            last = time.monotonic()

    return kept


def _put(run: ExportRun, path: Path, location: str, sha256: str) -> None:
    if run.destination == "folder":
        folder.publish(path, location, lambda: queue.keep(run))
        return
    from telemetry.exports.s3 import put

    queue.keep(run)
    put(path, location, sha256, keeper(run))


def _notes(run: ExportRun) -> dict[str, str]:
    """What a file says about itself."""
    return {
        "query": f"/api/v1/{run.export.query.route}?{run.export.query.query}",
        "start": run.period_start.isoformat(),
        "end": run.period_end.isoformat(),
        "zone": run.export.zone,
    }


def _devices(question: Question) -> list[int]:
    series = {each for line in question.lines for each in line.series}
    return sorted(set(Series.objects.filter(pk__in=series).values_list("device_id", flat=True)))

"""The file of a run as an answer: from the folder as a stream, from a store by sending the reader there."""

from __future__ import annotations

from django.http import FileResponse, HttpResponse, HttpResponseRedirect
from rest_framework.exceptions import NotFound

from telemetry.api.errors import Unavailable
from telemetry.exports import folder
from telemetry.models import ExportRun

__all__ = ["file_of"]

_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def file_of(run: ExportRun) -> HttpResponse | FileResponse:
    """Raises NotFound where there is none (yet, or any more), Unavailable where it cannot be had just now."""
    if run.state != ExportRun.State.DONE:
        raise NotFound(f"This run has no file: it is {run.get_state_display()}.")
    if run.removed_at is not None:
        raise NotFound("This file was kept as long as files are kept, and is gone. Run the period again.")
    name = run.location.rpartition("/")[2]
    response: HttpResponse | FileResponse
    if run.destination == "s3":
        from telemetry.exports.s3 import address_of

        # The address is good for some minutes only: who may have it was looked at just now.
        response = HttpResponseRedirect(address_of(run.location, name))
    else:
        response = _stream(run, name)
    response["Cache-Control"] = "no-store"
    return response


def _stream(run: ExportRun, name: str) -> FileResponse:
    try:
        file = folder.open_stored(run.location)
    except OSError as error:
        raise Unavailable(f"The folder of exports cannot be read: {error.strerror}.") from error
    if file is None:
        raise NotFound("The file is not in the folder any more: somebody took it away. Run the period again.")
    response = FileResponse(file, as_attachment=True, filename=name, content_type=_TYPES[run.format])
    response["X-Accel-Buffering"] = "no"
    return response

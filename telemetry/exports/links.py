"""Links to files in emails: signed, and good for some days. Who follows one must be signed in and may see what is in it."""

from __future__ import annotations

from urllib.parse import quote

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner

from telemetry.models import ExportRun

__all__ = ["LinkExpired", "link_to", "opens", "sign"]

_SALT = "telemetry.exports.links"
_DAY = 86_400


class LinkExpired(Exception):
    """It was good once."""


def sign(run: ExportRun) -> str:
    """What proves that the platform itself sent somebody to this file."""
    return TimestampSigner(salt=_SALT).sign(str(run.pk))


def opens(run: ExportRun, link: str) -> bool:
    """Whether this was signed for this run. Raises LinkExpired where that was too long ago."""
    try:
        said = TimestampSigner(salt=_SALT).unsign(link, max_age=settings.PLATFORM.export_link_days * _DAY)
    except SignatureExpired as error:
        raise LinkExpired from error
    except BadSignature:
        return False
    return said == str(run.pk)


def link_to(run: ExportRun) -> str:
    """The address of its file, for an email."""
    platform = settings.PLATFORM
    site = (platform.public_url or f"http://{platform.host}:{platform.port}").rstrip("/")
    return f"{site}/exports/runs/{run.pk}/file?link={quote(sign(run), safe=':')}"

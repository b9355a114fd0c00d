"""Tells people by email that a file is there. Apart from making it: a mail server that is down repeats no export."""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import connection
from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from telemetry.exports.links import link_to
from telemetry.models import ExportRun

__all__ = ["anything_to_mail", "send_due"]

logger = logging.getLogger(__name__)
_ATTEMPTS = 6
_LEASE = timedelta(seconds=60)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=2)
_CLAIM = """
UPDATE telemetry_exportrun SET mail_attempts = mail_attempts + 1, mail_due_at = %(until)s
WHERE id = (
    SELECT id FROM telemetry_exportrun WHERE mail = 'waiting' AND mail_due_at <= %(now)s
    ORDER BY mail_due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""


def anything_to_mail(now: datetime | None = None) -> bool:
    """Whether an email is due."""
    return ExportRun.objects.filter(mail=ExportRun.Mail.WAITING, mail_due_at__lte=now or timezone.now()).exists()


def send_due(now: datetime | None = None) -> int:
    """Send every email that is due; answers how many the mail server took. A crash between sending and noting it repeats
    the email, under the same Message-ID."""
    sent = 0
    while (run := _claim(now or timezone.now())) is not None:
        sent += _attempt(run)
    return sent


def _claim(now: datetime) -> ExportRun | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"now": now, "until": now + _LEASE})
        row = cursor.fetchone()
    return None if row is None else ExportRun.objects.select_related("export").get(pk=row[0])


def _attempt(run: ExportRun) -> bool:
    try:
        _message(run).send()
    except (smtplib.SMTPException, OSError) as error:
        _not_sent(run, f"The mail server did not take it: {_words(error)}")
        return False
    except _NotPossible as error:
        _not_sent(run, str(error), for_good=True)
        return False
    _mine(run).update(mail=ExportRun.Mail.SENT, mail_due_at=None, mail_error="")
    return True


class _NotPossible(Exception):
    """Nothing to send, or nobody to send it."""


def _message(run: ExportRun) -> EmailMessage:
    if settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
        raise _NotPossible("No mail server is configured: set EMAIL_URL, for example smtp://mail.example.org:25.")
    if not run.export.recipients:
        raise _NotPossible("It has no recipients any more.")
    zone = ZoneInfo(run.export.zone)
    first, end = (moment.astimezone(zone) for moment in (run.period_start, run.period_end))
    days = settings.PLATFORM.export_link_days
    text = (
        f"{run.export.name}: {first:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({run.export.zone}), "
        f"{run.rows or 0:,} rows, {filesizeformat(run.bytes or 0)}.\n\n"
        f"{link_to(run)}\n\n"
        f"The link is good for {days} days. It asks you to sign in, and opens for whoever may see the devices in the file.\n"
        f"SHA-256 {run.sha256}\n"
    )
    sender = settings.DEFAULT_FROM_EMAIL
    host = sender.rpartition("@")[2].strip("> ") or urlsplit(settings.PLATFORM.public_url or "").hostname
    headers = {"Message-ID": f"<export-{run.pk}@{host or 'localhost'}>", "Auto-Submitted": "auto-generated"}
    subject = f"Export: {' '.join(run.export.name.split())}, {first:%Y-%m-%d}"
    server = get_connection(timeout=settings.PLATFORM.alert_timeout_seconds)
    return EmailMessage(subject, text, sender, list(run.export.recipients), connection=server, headers=headers)


def _not_sent(run: ExportRun, why: str, *, for_good: bool = False) -> None:
    logger.warning("export_not_mailed", extra={"run": run.pk, "error": why})
    over = for_good or run.mail_attempts >= _ATTEMPTS
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 3 ** (run.mail_attempts - 1))
    _mine(run).update(
        mail=ExportRun.Mail.FAILED if over else ExportRun.Mail.WAITING,
        mail_due_at=None if over else timezone.now() + pause,
        mail_error=why[:1000],
    )


def _mine(run: ExportRun) -> QuerySet[ExportRun]:
    return ExportRun.objects.filter(pk=run.pk, mail=ExportRun.Mail.WAITING, mail_attempts=run.mail_attempts)


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)

"""Email, through the mail server that EMAIL_URL names."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.validators import validate_email
from django.template.loader import render_to_string

from alerts.channels.failures import PermanentFailure, TemporaryFailure
from alerts.channels.kind import ChannelKind, Field, FieldProblems, Outgoing

__all__ = ["Email"]

_MAX_RECIPIENTS = 100


class Email(ChannelKind):
    name = "email"
    label = "Email"
    fields = (
        Field("recipients", "Recipients", "Addresses, one a line.", type="emails"),
        Field("administrators", "Administrators", "Every superuser who has an email address.", type="flag"),
    )

    def check(self, settings: Mapping[str, Any]) -> None:
        recipients = settings.get("recipients") or []
        if not recipients and not settings.get("administrators"):
            raise FieldProblems({"recipients": "Give at least one address, or tick the administrators."})
        if len(recipients) > _MAX_RECIPIENTS:
            raise FieldProblems({"recipients": f"At most {_MAX_RECIPIENTS} addresses; use a mailing list for more."})
        for address in recipients:
            try:
                validate_email(address)
            except ValidationError as error:
                raise FieldProblems({"recipients": f"{address!r} is not an email address."}) from error

    def address(self, settings: Mapping[str, Any]) -> str:
        return ", ".join(
            [*(settings.get("recipients") or []), *(["administrators"] if settings.get("administrators") else [])]
        )

    def prepare(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**settings, "recipients": _recipients(settings)}

    def send(self, settings: Mapping[str, Any], message: Outgoing) -> str:
        recipients = settings.get("recipients") or []
        if not recipients:
            raise PermanentFailure("No administrator has an email address: enter one under Users.")
        if django_settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"):
            raise PermanentFailure(
                "No mail server is configured: set EMAIL_URL, for example smtp://mail.example.org:25."
            )
        try:
            _mail(recipients, message).send()
        except (smtplib.SMTPException, OSError) as error:
            raise _failure(error) from error
        return f"the mail server took it for {len(recipients)} recipients"


def _recipients(settings: Mapping[str, Any]) -> list[str]:
    given = list(settings.get("recipients") or [])
    if settings.get("administrators"):
        admins = get_user_model().objects.filter(is_superuser=True, is_active=True).exclude(email="")
        given += admins.order_by("pk").values_list("email", flat=True)
    return list(dict.fromkeys(given))


def _mail(recipients: list[str], message: Outgoing) -> EmailMultiAlternatives:
    content = message.content
    sender = django_settings.DEFAULT_FROM_EMAIL
    host = sender.rpartition("@")[2].strip("> ") or urlsplit(django_settings.PLATFORM.public_url or "").hostname
    headers = {
        # The same for every attempt: mail programs show a repeat once.
        "Message-ID": f"<{message.key}@{host or 'localhost'}>",
        "Idempotency-Key": message.key,
        "Auto-Submitted": "auto-generated",
    }
    connection = get_connection(timeout=message.timeout)
    mail = EmailMultiAlternatives(
        content["subject"], content["text"], sender, recipients, connection=connection, headers=headers
    )
    mail.attach_alternative(render_to_string("alerts/message.html", {"content": content}), "text/html")
    return mail


def _failure(error: Exception) -> TemporaryFailure | PermanentFailure:
    """SMTP answers of 4yz ask to try again, those of 5yz do not (RFC 5321, 4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        refused = "; ".join(f"{who}: {code} {_text(why)}" for who, (code, why) in error.recipients.items())
        codes = [code for code, _ in error.recipients.values()]
        kind = PermanentFailure if all(code >= 500 for code in codes) else TemporaryFailure
        return kind(f"The mail server refused the recipients: {refused}"[:1000])
    if isinstance(error, smtplib.SMTPResponseException):
        text = f"The mail server answered {error.smtp_code} {_text(error.smtp_error)}"
        # Its own greeting may say 5yz while it starts or is overloaded.
        lasting = 500 <= error.smtp_code < 600 and not isinstance(error, smtplib.SMTPConnectError)
        return PermanentFailure(text) if lasting else TemporaryFailure(text)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return PermanentFailure(f"The mail server cannot do what EMAIL_URL asks for: {error}")
    if isinstance(error, socket.timeout | TimeoutError):
        return TemporaryFailure("The mail server did not answer in time.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return TemporaryFailure(f"The mail server's certificate is not valid: {error.verify_message}")
    return TemporaryFailure(f"The mail server could not be reached: {getattr(error, 'strerror', None) or error}")


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)

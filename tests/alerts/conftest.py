"""What tests of delivery need: receivers, and an egress that lets the platform speak to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from alerts.models import Channel, Route
from tests.alerts.receivers import MailServer, WebServer, mail_server, web_server


@pytest.fixture
def nobody_told(platform_db: None) -> None:
    """No channel and no route, not even those that the first migration makes: each test names its own."""
    Route.objects.all().delete()
    Channel.objects.all().delete()


@pytest.fixture
def configure(settings: Any) -> Any:
    """Set keys of config.yaml for one test."""

    def change(**values: Any) -> None:
        settings.PLATFORM = replace(settings.PLATFORM, **values)

    return change


@pytest.fixture
def loopback_allowed(configure: Any) -> None:
    """As an administrator who has receivers on this machine would set it."""
    configure(alert_egress_allow="127.0.0.0/8")


@pytest.fixture
def receiver(loopback_allowed: None) -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def mail(settings: Any) -> Iterator[MailServer]:
    """A mail server that Django's settings name, as EMAIL_URL would."""
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.DEFAULT_FROM_EMAIL = "Telemetry <alerts@example.org>"
        yield server

"""The link goes out by a real mail server, and what that server refuses repeats no export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.exports import worker
from tests.alerts.receivers import MailServer, mail_server
from tests.telemetry.exports.conftest import made, make_export


@pytest.fixture
def mails(settings: Any) -> Iterator[MailServer]:
    with mail_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield server


def test_everybody_is_sent_a_link_to_the_file(ann: Any, mails: MailServer) -> None:
    run = made(make_export(ann, recipients=["bob@example.org", "eve@example.org"], zone="Europe/Berlin"))
    (mail,) = mails.mails
    assert mails.recipients == [["bob@example.org", "eve@example.org"]]
    assert mail["Subject"] == "Export: Hourly, 2026-03-01"
    assert mail["Message-ID"] == f"<export-{run.pk}@localhost>"
    text = mail.get_content()
    assert "2026-03-01 01:00 to 2026-03-02 01:00 (Europe/Berlin), 48 rows" in text
    assert re.search(rf"http://127\.0\.0\.1:\d+/exports/runs/{run.pk}/file\?link={run.pk}:\S+", text)
    assert run.sha256 in text
    assert (run.mail, run.mail_error) == ("sent", "")


def test_a_mail_server_that_is_down_is_asked_again_and_the_file_is_made_once(
    ann: Any, mails: MailServer, settings: Any, later: Any
) -> None:
    settings.EMAIL_PORT = 9
    export = make_export(ann, recipients=["bob@example.org"])
    run = made(export)
    assert (run.state, run.mail, run.attempts) == ("done", "waiting", 1)
    assert "did not take it: Connection refused" in run.mail_error
    settings.EMAIL_PORT = mails.port
    worker.work()
    assert not mails.mails, "not before its pause is over"
    later()
    worker.work()
    run.refresh_from_db()
    assert (run.mail, run.attempts, len(mails.mails)) == ("sent", 1, 1)


def test_it_is_not_asked_for_ever(ann: Any, mails: MailServer, settings: Any, later: Any) -> None:
    settings.EMAIL_PORT = 9
    run = made(make_export(ann, recipients=["bob@example.org"]))
    for _ in range(6):
        later()
        worker.work()
    run.refresh_from_db()
    assert (run.state, run.mail, run.mail_attempts) == ("done", "failed", 6)


def test_without_a_mail_server_the_history_says_so(ann: Any, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    run = made(make_export(ann, recipients=["bob@example.org"]))
    assert (run.state, run.mail) == ("done", "failed")
    assert run.mail_error.startswith("No mail server is configured: set EMAIL_URL")


def test_nobody_to_tell_is_told_nothing(ann: Any, mails: MailServer) -> None:
    run = made(make_export(ann))
    assert (run.mail, mails.mails) == ("", [])

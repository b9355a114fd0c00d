"""The platform as it runs: beat, worker and its threads, a real receiver, and a worker that is killed while it sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg
import pytest

from alerts.secrets import encrypt
from tests.alerts.receivers import SECRET, WebServer, mail_server, web_server
from tests.live import LivePlatform

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mails() -> Iterator[Any]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, mails: Any) -> Iterator[LivePlatform]:
    settings = {"ALERT_GROUP_SECONDS": "1", "ALERT_EGRESS_ALLOW": "127.0.0.0/8", "ALERT_TIMEOUT_SECONDS": "10"}
    settings["EMAIL_URL"] = f"smtp://127.0.0.1:{mails.port}"
    folder = tmp_path_factory.mktemp("live")
    with LivePlatform(folder, run=["worker", "beat"], **settings) as running:
        yield running


@pytest.fixture
def database(platform: LivePlatform) -> Iterator[psycopg.Connection[Any]]:
    with platform.database() as connection:
        yield connection


def add_webhook(database: psycopg.Connection[Any], server: WebServer, name: str) -> None:
    secret = encrypt({"url": server.url, "secret": SECRET})
    channel = database.execute(
        "INSERT INTO alerts_channel (name, kind, config, secret, enabled, last_error) VALUES (%s, 'webhook', '{}', %s, true, '') "
        "RETURNING id",
        [name, secret],
    ).fetchone()
    route = database.execute(
        "INSERT INTO alerts_route (name, position, enabled, continues, min_severity, labels, recovery) "
        "VALUES (%s, 1, true, true, 1, '{}', true) RETURNING id",
        [name],
    ).fetchone()
    assert channel
    assert route
    database.execute("INSERT INTO alerts_route_channels (route_id, channel_id) VALUES (%s, %s)", [route[0], channel[0]])


def open_alert(database: psycopg.Connection[Any], series: int) -> int:
    """As a drain writes it."""
    with database.transaction():
        row = database.execute(
            "INSERT INTO alerts_alert (threshold_id, threshold_name, series_id, device_id, device_name, metric, state, "
            "severity, highest_severity, value, readings, opened_at, detected_at, caught_up, evidence, rule, condition) "
            "VALUES (1, 'Bearing hot', %s, 1, 'pump-7', 'temperature', 'open', 2, 2, 80, 1, now(), now(), true, '{}', "
            "'{}', 'above') RETURNING id",
            [series],
        ).fetchone()
        assert row
        database.execute(
            "INSERT INTO alerts_alertevent (alert_id, kind, at, severity, unrouted) VALUES (%s, 'opened', now(), 2, true)",
            [row[0]],
        )
    return int(row[0])


def timeline(database: psycopg.Connection[Any], alert: int) -> list[str]:
    rows = database.execute("SELECT kind FROM alerts_alertevent WHERE alert_id = %s ORDER BY id", [alert])
    return [kind for (kind,) in rows]


def still_run(platform: LivePlatform, *names: str) -> bool:
    """Start again what ended, as the launcher and the containers do: Celery may not survive the loss of its broker."""
    for name in names:
        if platform.family(name)[0].status() == psutil.STATUS_ZOMBIE:
            platform.restart(name)
    return True


def test_within_seconds_an_opening_is_told_by_webhook_and_mail(
    platform: LivePlatform, database: psycopg.Connection[Any], mails: Any
) -> None:
    database.execute(
        "INSERT INTO auth_user (username, password, email, is_superuser, is_staff, is_active, first_name, last_name, "
        "date_joined) VALUES ('ann', '!', 'ann@example.org', true, true, true, '', '', now())"
    )
    with web_server() as receiver:
        add_webhook(database, receiver, "first")
        alert = open_alert(database, 1)
        platform.wait_until(lambda: receiver.received and mails.mails, 30, "webhook and mail")
        assert receiver.received[0].signed_by(SECRET)
        assert receiver.received[0].body["alerts"][0]["id"] == alert
        assert mails.recipients == [["ann@example.org"]], "the default route reaches the administrators"
        platform.wait_until(lambda: timeline(database, alert).count("notified") == 2, 10)
        database.execute("UPDATE alerts_channel SET enabled = false WHERE name = 'first'")


def test_a_worker_killed_while_it_sends_repeats_the_message_with_its_key(
    platform: LivePlatform, database: psycopg.Connection[Any]
) -> None:
    with web_server() as receiver:
        receiver.hold = threading.Event()
        add_webhook(database, receiver, "second")
        alert = open_alert(database, 2)
        platform.wait_until(lambda: receiver.received, 30, "the first attempt")
        platform.kill("worker")
        receiver.hold.set()
        receiver.hold = None
        platform.restart("worker")
        # Not before the lease of the killed worker has run out, which is 60 s.
        platform.wait_until(lambda: len(receiver.received) == 2, 120, "the second attempt")
        first, second = receiver.received
        assert (first.key, first.raw) == (second.key, second.raw)
        assert second.headers["x-attempt"] == "2"
        platform.wait_until(lambda: "notified" in timeline(database, alert), 10)


def test_deliveries_outlive_the_database_and_the_broker(
    platform: LivePlatform, database: psycopg.Connection[Any]
) -> None:
    with web_server() as receiver:
        add_webhook(database, receiver, "third")
        alert = open_alert(database, 3)
        platform.kill("postgres")
        platform.restart("postgres")
        platform.kill("log")
        platform.restart("log")
        platform.wait_until(lambda: still_run(platform, "worker", "beat") and receiver.received, 120, "the message")
        with platform.database() as again:
            platform.wait_until(lambda: "notified" in timeline(again, alert), 90)
        assert len({request.key for request in receiver.received}) == 1

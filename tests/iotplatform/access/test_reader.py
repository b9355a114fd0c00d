"""The role for business intelligence: it answers every panel of its dashboard, and can do nothing else."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from psycopg import sql

from alerts.models import Alert
from iotplatform.access import reader
from iotplatform.env import BASE_DIR
from telemetry.database import connect
from telemetry.models import DeviceLastSeen
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.iotplatform.observability.hanging import with_config
from tests.telemetry.rollups.readings import refresh_upto

NAME = f"iot_reader_{secrets.token_hex(4)}"
PASSWORD = "of the reader's own"
(DASHBOARD,) = (BASE_DIR / "deploy" / "grafana" / "dashboards").glob("iot-readings.json")
PAGE = json.loads(DASHBOARD.read_text())


@pytest.fixture
def role(platform_db: None) -> Iterator[str]:
    """The role, of this test alone: roles are those of the whole server."""
    with connect(autocommit=True) as connection:
        reader.ensure_reader(connection, PASSWORD, NAME)
    yield NAME
    drop(NAME)


def drop(name: str) -> None:
    with connect(autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def as_reader(role: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as ours:
        info = ours.info.get_parameters() | {"user": role, "password": PASSWORD}
    info.pop("options", None)
    with psycopg.connect(**info, autocommit=True) as connection:
        yield connection


@pytest.fixture
def week(platform_db: None) -> None:
    """A device that sent for a day, and an alert about it."""
    device = make_device("pump-7")
    now = int(time.time() * 1e6)
    start = now - now % 3_600_000_000 - 24 * 3_600_000_000
    key = make_key(device, backfill=True)
    rows = [{"time": start + hour * 3_600_000_000, "metrics": {"t": 20 + hour}} for hour in range(24)]
    assert post_readings(key, rows).status_code == 202
    drain_all()
    refresh_upto(now)
    DeviceLastSeen.objects.update_or_create(device=device, defaults={"at": datetime.now(UTC)})
    at = datetime.now(UTC) - timedelta(hours=3)
    about = {"threshold_id": 1, "threshold_name": "Hot", "series_id": 1, "metric": "t", "value": 95.0, "extreme": 97.0}
    Alert.objects.create(
        **about, device_id=device.pk, device_name="pump-7", severity=4, highest_severity=4, opened_at=at, detected_at=at
    )


def as_grafana_asks(question: str, device: str = "pump-7") -> str:
    """Its macros and variables, as its documentation of the PostgreSQL data source says."""
    until = datetime.now(UTC)
    since = until - timedelta(days=7)
    question = question.replace("${device:sqlstring}", "'" + device.replace("'", "''") + "'")
    span = rf"\1 BETWEEN '{since:%Y-%m-%dT%H:%M:%SZ}' AND '{until:%Y-%m-%dT%H:%M:%SZ}'"
    question = re.sub(r"\$__timeFilter\(([\w.]+)\)", span, question)
    assert "$" not in question, question
    return question


def questions() -> list[tuple[dict[str, Any], str]]:
    return [(panel, target["rawSql"]) for panel in PAGE["panels"] for target in panel["targets"]]


def test_every_panel_has_an_answer(week: None, as_reader: psycopg.Connection[Any]) -> None:
    assert len(questions()) > 10
    for panel, question in questions():
        found = as_reader.execute(as_grafana_asks(question).encode())
        rows = found.fetchall()
        assert rows, panel["title"]
        columns = [column.name for column in found.description or ()]
        if panel["type"] == "timeseries":
            assert columns == ["time", "metric", "value"], panel["title"]
            times = [row[0] for row in rows]
            assert times == sorted(times), f"{panel['title']}: Grafana wants them in the order of time"
        if panel["type"] == "stat":
            assert rows[0][0] > 0, panel["title"]
    (choice,) = PAGE["templating"]["list"]
    assert as_reader.execute(choice["query"].encode()).fetchall() == [("pump-7",)]
    for _, question in questions():
        assert "$device" not in question, "names are quoted by Grafana: ${device:sqlstring}"
        as_reader.execute(as_grafana_asks(question, "'; DROP TABLE telemetry_device; --").encode())


def test_it_reads_what_is_named_and_no_other_table(role: str, as_reader: psycopg.Connection[Any]) -> None:
    with connect(autocommit=True) as connection:
        every = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    assert set(reader.TABLES) <= set(every)
    secret = {"telemetry_devicekey", "telemetry_auditentry", "alerts_channel", "alerts_message"}
    for label in ("auth", "sessions", "admin", "iotplatform"):
        secret |= {model._meta.db_table for model in apps.get_app_config(label).get_models()}
    assert secret <= set(every) and not secret & set(reader.TABLES)
    for table in every:
        ask = sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(table))
        if table in reader.TABLES or table.startswith("telemetry_reading_"):
            continue
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_reader.execute(ask)
    for table in reader.TABLES:
        as_reader.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(table)))


FORBIDDEN = (
    "INSERT INTO telemetry_devicetype (name) VALUES ('x')",
    "UPDATE telemetry_device SET enabled = false",
    "DELETE FROM telemetry_reading",
    "TRUNCATE alerts_alert",
    "CREATE TABLE mine (a int)",
    "DROP TABLE telemetry_device",
    "COPY telemetry_device TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
    "GRANT SELECT ON auth_user TO PUBLIC",
    "ALTER ROLE CURRENT_USER CREATEDB",
)


def test_it_changes_nothing_even_where_it_says_that_it_may_write(as_reader: psycopg.Connection[Any]) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(
            psycopg.errors.ReadOnlySqlTransaction if "telemetry_device SET" in statement else psycopg.Error
        ):
            as_reader.execute(statement.encode())
    as_reader.execute("SET default_transaction_read_only = off")
    for statement in FORBIDDEN:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_reader.execute(statement.encode())


def test_it_reads_only_and_not_for_long(role: str, as_reader: psycopg.Connection[Any]) -> None:
    shown = {
        name: as_reader.execute(f"SHOW {name}".encode()).fetchone()[0]  # type: ignore[index]
        for name in ("default_transaction_read_only", "statement_timeout", "idle_in_transaction_session_timeout")
    }
    assert shown == {
        "default_transaction_read_only": "on",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "1min",
    }
    limit = as_reader.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").fetchone()
    assert limit == (reader.CONNECTIONS,)


def test_made_again_it_has_the_new_password_and_no_right_of_before(role: str) -> None:
    with connect(autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT ALL ON auth_user TO {}").format(sql.Identifier(role)))
        kept = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
        before = connection.execute(kept, [role]).fetchone()
        reader.ensure_reader(connection, "another", role)
        after = connection.execute(kept, [role]).fetchone()
        may = connection.execute("SELECT has_table_privilege(%s, 'auth_user', 'SELECT')", [role]).fetchone()
    assert before != after and after and after[0].startswith("SCRAM-SHA-256$")
    assert may == (False,)


def test_a_role_of_that_name_that_is_more_is_left_alone(db: None) -> None:
    name = f"{NAME}_admin"
    with connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} CREATEDB").format(sql.Identifier(name)))
        try:
            with pytest.raises(reader.ReaderError):
                reader.ensure_reader(connection, PASSWORD, name)
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_without_a_password_the_command_makes_none(db: None, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with_config(settings, reader_password=None)
    call_command("ensure_reader")
    assert "READER_PASSWORD is not set" in capsys.readouterr().out


def test_the_command_makes_it(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    monkeypatch.setattr(
        "iotplatform.management.commands.ensure_reader.ensure_reader",
        lambda connection, password: made.append(password),
    )
    with_config(settings, reader_password=PASSWORD)
    call_command("ensure_reader")
    assert made == [PASSWORD]
    assert PASSWORD not in capsys.readouterr().out

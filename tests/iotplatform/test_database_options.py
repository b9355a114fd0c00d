"""What every connection of the platform asks of its session, whatever the server's own settings say."""

from __future__ import annotations

import pytest

from telemetry.database import connect

pytestmark = pytest.mark.usefixtures("platform_db")


def test_no_statement_is_compiled() -> None:
    with connect(autocommit=True) as connection:
        found = connection.execute("SELECT setting, source FROM pg_settings WHERE name = 'jit'").fetchone()
    assert found == ("off", "client")

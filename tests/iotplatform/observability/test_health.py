"""/healthz and /readyz tell the truth, and in time."""

import time

import pytest
from django.db import connections
from django.test import Client
from psycopg_pool import PoolTimeout

from iotplatform.observability.health import worker_names
from telemetry.log import keys
from telemetry.models import LogLayout
from tests.iotplatform.observability.hanging import point_database_at, silent_server

pytestmark = pytest.mark.django_db

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def workers(platform_db, redis_client) -> None:
    """All workers give a sign of life."""
    for name in worker_names():
        redis_client.set(keys.worker(name), 1, ex=15)


@pytest.fixture
def client() -> Client:
    return Client()


def test_healthz_asks_nobody(client, settings, monkeypatch):
    point_database_at(monkeypatch, 1)
    settings.SERVERS = dict.fromkeys(settings.SERVERS, NOWHERE)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready(client, workers):
    answer = client.get("/readyz")
    assert answer.json() == {
        "status": "ok",
        "checks": dict.fromkeys(["database", "log", "layout", "workers", "positions"], "ok"),
    }
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


def test_a_silent_worker_is_named_and_does_not_stop_intake(client, workers, redis_client):
    redis_client.delete(keys.worker("drain1"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "drain1" in answer.json()["checks"]["workers"]
    assert client.get("/readyz?for=intake").status_code == 200


def test_readings_that_wait_too_long_make_it_unready(client, workers, redis_client):
    redis_client.xadd(keys.stream(0), {"p": b""}, id=f"{int((time.time() - 60) * 1000)}-0")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "shard 0 have waited 60 s" in answer.json()["checks"]["positions"]


def test_a_closed_layout_stops_intake(client, platform_db):
    LogLayout.objects.update(open=False)
    answer = client.get("/readyz?for=intake")
    assert (answer.status_code, answer.json()["checks"]["layout"][:16]) == (503, "intake is closed")


def test_a_log_server_that_is_down(client, settings):
    settings.SERVERS = {**settings.SERVERS, "redis_url": NOWHERE}
    answer = client.get("/readyz?for=intake")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["database"] == "ok"
    assert "refused" in checks["log"]


def test_a_database_that_is_down(client, monkeypatch):
    point_database_at(monkeypatch, 1)
    answer = client.get("/readyz?for=intake")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["log"] == "ok"
    assert "refused" in checks["database"]


@pytest.mark.alone
@pytest.mark.parametrize("query", ["", "?for=intake"])
def test_servers_that_hang_are_reported_within_two_seconds(client, settings, monkeypatch, query):
    with silent_server() as port:
        point_database_at(monkeypatch, port)
        settings.SERVERS = {**settings.SERVERS, "redis_url": f"redis://127.0.0.1:{port}/0"}
        for _ in range(3):
            began = time.monotonic()
            answer = client.get(f"/readyz{query}")
            assert time.monotonic() - began < 2
            assert answer.status_code == 503
            assert answer.json()["checks"]["database"] in ("no answer within 1 s", "connection timeout expired")


def test_a_used_up_pool_is_not_a_database_that_is_down(client, workers):
    pool = connections["default"].pool
    taken = []
    try:
        with pytest.raises(PoolTimeout):
            while True:
                taken.append(pool.getconn(timeout=0.2))
        assert client.get("/readyz").status_code == 200
    finally:
        for connection in taken:
            pool.putconn(connection)


def test_no_password_stands_in_an_answer(client, settings):
    settings.SERVERS = {**settings.SERVERS, "redis_url": "redis://:hunter2@127.0.0.1:1/0"}
    assert b"hunter2" not in client.get("/readyz").content

"""/metrics: who may read it, what stands in it, and that it answers whatever is down."""

import time

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from iotplatform.observability.metrics import client_address, measures
from iotplatform.version import VERSION
from telemetry.log import keys
from telemetry.models import ShardPosition
from tests.iotplatform.observability.hanging import point_database_at, silent_server, with_config

pytestmark = pytest.mark.django_db


def samples(**how) -> dict[tuple, float]:
    answer = Client(**how).get("/metrics")
    assert answer.status_code == 200, answer.content
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_what_was_counted_is_shown():
    before = samples().get(("iot_readings_accepted_total",), 0)
    measures.readings_accepted.inc(3)
    measures.readings_rejected.labels(code="out_of_range").inc()
    after = samples()
    assert after[("iot_readings_accepted_total",)] == before + 3
    assert after[("iot_readings_rejected_total", "out_of_range")] >= 1


def test_the_log_is_measured_at_the_moment_of_the_scrape(platform_db, redis_client):
    redis_client.xadd(keys.stream(0), {"p": b"x" * 100}, id=f"{int((time.time() - 5) * 1000)}-0")
    redis_client.hset(keys.meta(0), "in", 150)
    ShardPosition.objects.filter(shard=0).update(stored_offset=50)
    found = samples()
    assert found[("iot_log_entries", "0")] == 1
    assert found[("iot_log_bytes", "0")] == 100
    assert 5 <= found[("iot_log_oldest_seconds", "0")] < 8
    assert found[("iot_log_oldest_seconds", "1")] == 0
    assert [found[("iot_up", service)] for service in ("database", "log", "cache")] == [1, 1, 1]
    assert ("iot_quarantine_waiting",) in found


def test_the_servers_tell_their_size_and_who_is_connected(platform_db, redis_client):
    redis_client.lpush("celery:default", "{}", "{}")
    found = samples()
    assert found[("iot_queue_tasks", "default")] == 2
    assert found[("iot_queue_tasks", "drain-0")] == 0
    assert found[("iot_log_server_bytes",)] > 100_000
    assert ("iot_log_server_limit_bytes",) in found
    assert found[("iot_database_bytes",)] > found[("iot_database_readings_bytes",)] >= 0
    assert found[("iot_database_connections", "idle")] >= 0
    assert found[("iot_database_connections_limit",)] > 10
    assert found[("iot_database_commits_total",)] > 0
    assert found[("iot_database_oldest_transaction_seconds",)] < 600


def test_the_versions_that_answer_are_told():
    (versions,) = [key for key in samples() if key[0] == "iot_build_info"]
    assert VERSION in versions


@pytest.mark.alone
def test_servers_that_are_down_or_hang_do_not_fail_a_scrape(settings, monkeypatch):
    with silent_server() as port:
        point_database_at(monkeypatch, port)
        settings.SERVERS = {**settings.SERVERS, "redis_url": "redis://127.0.0.1:1/0"}
        began = time.monotonic()
        found = samples()
    assert time.monotonic() - began < 3
    assert [found[("iot_up", service)] for service in ("database", "log", "cache")] == [0, 0, 1]
    assert ("iot_log_entries", "0") not in found


def test_a_stranger_sees_nothing():
    answer = Client(REMOTE_ADDR="192.0.2.7").get("/metrics")
    assert answer.status_code == 403
    assert b"iot_" not in answer.content


def test_the_token_opens_it_from_anywhere(settings):
    with_config(settings, metrics_token="s3cret-of-prometheus")
    stranger = Client(REMOTE_ADDR="192.0.2.7")
    assert stranger.get("/metrics", headers={"Authorization": "Bearer s3cret-of-prometheus"}).status_code == 200
    for wrong in ("Bearer s3cret", "s3cret-of-prometheus", "Bearer é", "Bearer "):
        assert stranger.get("/metrics", headers={"Authorization": wrong}).status_code == 403


def test_without_a_token_an_empty_one_opens_nothing(settings):
    with_config(settings, metrics_token=None)
    assert Client(REMOTE_ADDR="192.0.2.7", HTTP_AUTHORIZATION="Bearer None").get("/metrics").status_code == 403


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::7"])
def test_allowed_networks(settings, address):
    with_config(settings, metrics_networks="10.0.0.0/8, fd00::/8")
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 200


@pytest.mark.parametrize("forged", ["127.0.0.1", "127.0.0.1, 127.0.0.1", "192.0.2.7, 127.0.0.1"])
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(forged):
    assert Client(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR=forged).get("/metrics").status_code == 403


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "127.0.0.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.7", "127.0.0.1", "192.0.2.7"),
    ],
)
def test_who_asks_behind_proxies(rf, peer, forwarded, client):
    request = rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request, "10.0.0.0/24") == client

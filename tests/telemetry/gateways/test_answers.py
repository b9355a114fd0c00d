"""What POST /api/v1/readings answers as a whole: statuses, limits, encodings, keys, idempotency, waiting."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from django.db import connection
from django.utils import timezone

from iotplatform import web
from telemetry import measures
from telemetry.intake.decode import ARROW
from telemetry.models import DeviceGroup, DeviceKey, QuarantinedReading
from tests.builders import drain_all, make_device, make_key, post_readings, wait_until
from tests.telemetry.intake.test_arrow import stream

pytestmark = pytest.mark.usefixtures("platform_db")
_READING = {"metrics": {"a": 1}}


@pytest.fixture
def key() -> str:
    return make_key(make_device("pump-7"))


def stored() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.metric, (extract(epoch FROM r.time) * 1000000)::bigint, r.value FROM telemetry_reading r "
            "JOIN telemetry_series s ON s.id = r.series_id ORDER BY r.time, s.metric"
        )
        return cursor.fetchall()


def test_columns_of_arrow_are_taken_like_json(key: str) -> None:
    time = 1_795_255_200_000_000  # 2026-11-21T10:00:00Z
    body = stream({"time": pa.array([time, time + 1], pa.timestamp("us", tz="UTC")), "a": [1.5, None], "b": [2, 3]})
    for packed in (body, gzip.compress(body)):
        encoding = "identity" if packed is body else "gzip"
        answer = post_readings(key, packed, CONTENT_TYPE=ARROW, HTTP_CONTENT_ENCODING=encoding)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 3), answer.content
    drain_all()
    assert stored() == [("a", time, 1.5), ("b", time, 2.0), ("b", time + 1, 3.0)]


def test_a_stream_that_cannot_be_read_is_a_400_and_kept(key: str) -> None:
    answer = post_readings(key, b"\xff\xff\xff\xff no arrow", CONTENT_TYPE=ARROW)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "malformed")
    drain_all()
    assert "no arrow" in QuarantinedReading.objects.get().payload


# --- bodies that cannot be used as a whole --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b" ", b"[]", b"{}", b"null", b"0", b'""', b"true", b"{", b'{"metrics": {"a": 1}', b"\xff\xfe{\x00}\x00",
        '{"metrics": {"a": 1}}'.encode("utf-16"), b"[" * 100 + b"]" * 100, b"[" * 100_000, b'{"a":' * 100_000, b"\x00",
        b'{"metrics": {}}', b'{"metrics": {"a": {"b": 1}}}', b'{"metrics": 5}', b"a=1", b'{"readings": []}', b"[[[]]]",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_a_body_of_which_nothing_can_be_used_is_a_400(key: str, body: bytes) -> None:
    answer = post_readings(key, body)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["code"] in ("malformed", "invalid_value")
    assert drain_all() == 0
    assert QuarantinedReading.objects.count() == 1


def test_a_bom_does_no_harm(key: str) -> None:
    assert post_readings(key, b"\xef\xbb\xbf" + json.dumps(_READING).encode()).status_code == 202


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "json"]
)
def test_another_content_type_is_a_415_that_names_the_right_one(key: str, content_type: str) -> None:
    answer = post_readings(key, _READING, CONTENT_TYPE=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_content_type_may_have_parameters(key: str, content_type: str) -> None:
    assert post_readings(key, _READING, CONTENT_TYPE=content_type).status_code == 202


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_as_many_values_as_allowed_are_taken_and_not_one_more(key: str) -> None:
    now = int(time.time() * 1000)
    most = {"times": [now - n for n in range(100_000)], "metrics": {"a": list(range(100_000))}}
    answer = post_readings(key, most)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 100_000)
    most["times"].append(now - 100_000)
    most["metrics"]["a"].append(1)
    assert post_readings(key, most).status_code == 413
    assert drain_all() == 100_000
    assert len(stored()) == 100_000


def test_a_hundred_thousand_names_make_as_many_series_as_allowed(key: str) -> None:
    began = time.monotonic()
    answer = post_readings(key, {"metrics": {f"m{n}": n for n in range(100_000)}})
    told = answer.json()
    assert (answer.status_code, told["accepted"], told["rejected"]) == (202, 500, 99_500)
    assert len(told["errors"]) == 1000, "an answer lists some of the errors, and counts them all"
    assert time.monotonic() - began < 30, "what grows with the square takes minutes"
    assert drain_all() == 500


def test_a_body_may_have_8_mib(key: str) -> None:
    padded = json.dumps(_READING).encode().ljust(8 << 20)
    assert post_readings(key, padded).status_code == 202
    assert post_readings(key, padded + b" ").status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
def test_a_gzip_body_is_read(key: str, encoding: str) -> None:
    assert (
        post_readings(key, gzip.compress(json.dumps(_READING).encode()), HTTP_CONTENT_ENCODING=encoding).status_code
        == 202
    )


def test_a_gzip_body_of_several_members_is_read(key: str) -> None:
    body = json.dumps(_READING).encode()
    members = gzip.compress(body[:5]) + gzip.compress(b"") + gzip.compress(body[5:])
    assert post_readings(key, members, HTTP_CONTENT_ENCODING="gzip").status_code == 202


def bomb(size: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return packed.getvalue()


def test_a_gzip_bomb_is_a_413_at_once(key: str) -> None:
    packed = bomb(256 << 20)
    began = time.process_time()
    assert post_readings(key, packed, HTTP_CONTENT_ENCODING="gzip").status_code == 413
    assert time.process_time() - began < 2


def test_hundreds_of_thousands_of_gzip_members_are_refused_at_once(key: str) -> None:
    began = time.process_time()
    assert post_readings(key, gzip.compress(b"") * 400_000, HTTP_CONTENT_ENCODING="gzip").status_code == 400
    assert time.process_time() - began < 5, "what grows with the square takes minutes"


@pytest.mark.parametrize("body", [b"hello", gzip.compress(b"[]")[:-4], gzip.compress(b"[]") + b"x", b"\x1f\x8b"])
def test_what_is_not_gzip_is_a_400(key: str, body: bytes) -> None:
    assert post_readings(key, body, HTTP_CONTENT_ENCODING="gzip").status_code == 400


def test_other_encodings_are_a_415(key: str) -> None:
    answer = post_readings(key, b"x", HTTP_CONTENT_ENCODING="br")
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "gzip")


# --- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer iot_x_y", "Basic abc", "Bearer \xff\xfe", "iot_x"])
def test_without_a_valid_key_it_is_a_401(header: str) -> None:
    answer = post_readings("", _READING, HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_expires() -> None:
    device = make_device()
    soon = timezone.now() + timedelta(hours=1)
    assert post_readings(make_key(device, expires_at=soon), _READING).status_code == 202
    assert post_readings(make_key(device, expires_at=timezone.now()), _READING).status_code == 401


def test_a_revoked_key_is_refused_within_5_seconds(key: str) -> None:
    assert post_readings(key, _READING).status_code == 202
    DeviceKey.objects.update(revoked_at=timezone.now())
    wait_until(lambda: post_readings(key, _READING).status_code == 401, 5, "the revocation takes effect")


def test_a_disabled_device_is_refused_within_5_seconds_and_taken_again(key: str) -> None:
    from telemetry.models import Device

    assert post_readings(key, _READING).status_code == 202
    Device.objects.update(enabled=False)
    wait_until(lambda: post_readings(key, _READING).status_code == 400, 5, "the device is refused")
    Device.objects.update(enabled=True)
    wait_until(lambda: post_readings(key, _READING).status_code == 202, 5, "the device is taken again")


def test_the_key_of_a_group_writes_for_everything_below_it() -> None:
    plant = DeviceGroup.objects.create(name="plant")
    hall = DeviceGroup.objects.create(name="hall", parent=plant)
    other = DeviceGroup.objects.create(name="plant-2")
    for name, group in (("in plant", plant), ("in hall", hall), ("in plant-2", other), ("in none", None)):
        make_device(name, group=group)

    def statuses(key: str) -> list[int]:
        names = ("in plant", "in hall", "in plant-2", "in none")
        return [post_readings(key, {"device": name, **_READING}).status_code for name in names]

    key = make_key(group=plant)
    assert statuses(key) == [202, 202, 403, 403]
    assert statuses(make_key(group=hall)) == [403, 202, 403, 403]
    assert statuses(make_key()) == [202, 202, 202, 202]
    assert statuses(key) == [202, 202, 403, 403], "also once the devices are known"


def test_the_key_of_a_device_writes_for_it_alone_and_learns_nothing_of_others(key: str) -> None:
    make_device("other")
    details = []
    for name in ("other", "none such"):
        answer = post_readings(key, {"device": name, **_READING})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "forbidden_device")
        details.append(answer.json()["errors"][0]["detail"].replace(name, "…"))
    assert details[0] == details[1]
    mixed = post_readings(key, [_READING, {"device": "other", **_READING}, {"device": "pump-7", **_READING}])
    assert (mixed.status_code, mixed.json()["accepted"], mixed.json()["rejected"]) == (202, 2, 1)


def test_the_backfill_right_exempts_from_age_alone(key: str) -> None:
    years_ago = {"time": "1999-12-31T23:59:59Z", **_READING}
    backfill = make_key(make_device("old"), backfill=True)
    assert post_readings(key, years_ago).json()["errors"][0]["code"] == "too_old"
    assert post_readings(backfill, years_ago).status_code == 202
    assert (
        post_readings(backfill, {"time": "2999-01-01T00:00:00Z", **_READING}).json()["errors"][0]["code"]
        == "too_far_in_future"
    )


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("0001-01-01T00:00:00Z", 400), (-1, 400), ("1969-12-31T23:59:59.999999Z", 400), (0, 202),
        ("1970-01-01T00:00:00Z", 202), ("9999-12-31T23:59:59.999999Z", 400), (10**30, 400),
    ],
)  # fmt: skip
def test_times_at_the_ends_of_time(moment: Any, status: int) -> None:
    key = make_key(make_device(), backfill=True)
    assert post_readings(key, {"time": moment, **_READING}).status_code == status
    assert drain_all() == (status == 202)


def test_readings_older_than_the_raw_retention_are_too_old_for_everybody(settings: Any) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, raw_retention_days=100)
    key = make_key(make_device(), backfill=True)
    for days, status in ((99, 202), (101, 400)):
        moment = (timezone.now() - timedelta(days=days)).isoformat()
        assert post_readings(key, {"time": moment, **_READING}).status_code == status


def test_a_rate_limit_is_a_429_that_says_when_to_come_again() -> None:
    key = make_key(make_device(), rate_limit=2)
    answers = [post_readings(key, [_READING] * 5) for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [202, 202]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) >= 1
    assert drain_all() == 5 * sum(answer.status_code == 202 for answer in answers)


# --- times ----------------------------------------------------------------------------------------------------------


def test_readings_without_a_time_are_of_now_and_keep_their_order(key: str) -> None:
    before = time.time_ns() // 1000
    assert post_readings(key, [{"metrics": {"a": n}} for n in range(1000)]).status_code == 202
    after = time.time_ns() // 1000
    drain_all()
    rows = stored()
    first = rows[0][1]
    assert before - 1 <= first <= after
    assert [(moment - first, value) for _, moment, value in rows] == [(n, float(n)) for n in range(1000)]


# --- the same request again -----------------------------------------------------------------------------------------


def test_the_same_idempotency_key_gives_the_same_receipt_and_stores_once(key: str) -> None:
    first, again = (post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k1").json() for _ in range(2))
    other = post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k2").json()
    assert first["receipt"] == again["receipt"] != other["receipt"]
    assert drain_all() == 2


def test_the_same_idempotency_key_at_the_same_moment_stores_once(key: str) -> None:
    post_readings(key, _READING)
    start = threading.Barrier(8)

    def send() -> str:
        start.wait()
        try:
            return str(post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k").json()["receipt"])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        receipts = {future.result() for future in [pool.submit(send) for _ in range(8)]}
    assert len(receipts) == 1
    assert drain_all() == 2


def test_idempotency_keys_of_different_device_keys_are_different(key: str) -> None:
    other = make_key(make_device())
    receipts = {post_readings(each, _READING, HTTP_IDEMPOTENCY_KEY="k").json()["receipt"] for each in (key, other)}
    assert len(receipts) == 2


def test_what_was_refused_as_a_whole_may_be_sent_again_corrected_under_its_idempotency_key(key: str) -> None:
    assert post_readings(key, {"metrics": {"a": "x"}}, HTTP_IDEMPOTENCY_KEY="k").status_code == 400
    assert post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k").status_code == 202
    assert drain_all() == 1


def test_an_idempotency_key_may_have_255_characters(key: str) -> None:
    assert post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k" * 255).status_code == 202
    assert post_readings(key, _READING, HTTP_IDEMPOTENCY_KEY="k" * 256).status_code == 400


# --- waiting --------------------------------------------------------------------------------------------------------


@pytest.fixture
def draining() -> Any:
    """Somebody drains all the time, as the workers do."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.05):
            drain_all()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_who_waits_is_told_the_final_state(key: str, draining: None) -> None:
    answer = post_readings(key, [_READING, {"metrics": {"a": "x"}}], "?wait=5")
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["state"], told["accepted"], told["stored"], told["rejected"]) == ("stored", 1, 1, 1)


@pytest.mark.parametrize("wait", ["0.3", "0", "-1", "nan", "soon", "", "1e-9"])
def test_when_the_time_is_up_it_is_a_202(key: str, wait: str) -> None:
    began = time.monotonic()
    answer = post_readings(key, _READING, f"?wait={wait}")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("wait", ["1000", "inf", "1e308"])
def test_nobody_waits_longer_than_the_platform_allows(key: str, settings: Any, wait: str) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, max_wait_seconds=0.3)
    began = time.monotonic()
    assert post_readings(key, _READING, f"?wait={wait}").status_code == 202
    assert 0.3 <= time.monotonic() - began < 4


def test_at_most_a_quarter_of_the_threads_waits(key: str, settings: Any) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, web_threads=8, max_wait_seconds=2)
    post_readings(key, _READING)

    def send(_: int) -> float:
        began = time.monotonic()
        try:
            assert post_readings(key, _READING, "?wait=2").status_code == 202
            return time.monotonic() - began
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        seconds = sorted(pool.map(send, range(6)))
    assert seconds[3] < 2 <= seconds[4], "two waited, the others were answered at once"


# --- outages --------------------------------------------------------------------------------------------------------


def test_a_full_log_is_a_503_and_takes_no_part_of_a_request(settings: Any, redis_client: Any) -> None:
    devices = [make_device() for _ in range(8)]  # in every shard
    key = make_key()
    full = devices[0].id % settings.PLATFORM.shards
    redis_client.hset(f"log:{full}:meta", "in", settings.PLATFORM.log_max_bytes + 1)
    answer = post_readings(key, [{"device": device.name, **_READING} for device in devices])
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) >= 1
    assert all(redis_client.xlen(f"log:{shard}") == 0 for shard in range(settings.PLATFORM.shards))
    others = [device for device in devices if device.id % settings.PLATFORM.shards != full]
    assert post_readings(key, [{"device": device.name, **_READING} for device in others]).status_code == 202


def test_an_unreachable_log_is_a_503_at_once(key: str, settings: Any) -> None:
    from telemetry.intake import process

    settings.SERVERS = {**settings.SERVERS, "redis_url": "redis://127.0.0.1:1/0"}
    process.reset()
    for _ in range(3):
        began = time.monotonic()
        answer = post_readings(key, _READING)
        assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
        assert int(answer["Retry-After"]) >= 1
        assert time.monotonic() - began < 2


def test_a_process_that_is_asked_to_stop_answers_whoever_waits_at_once(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web._gateway, "_stopping", False)  # and afterwards: the other tests' process goes on
    post_readings(key, _READING)
    before = measures.intake_waiting._value.get()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post_readings, key, _READING, "?wait=20")
        wait_until(lambda: measures.intake_waiting._value.get() > before, 10, "somebody waits")
        web._gateway.stop_waiting()
        assert waiting.result(5).status_code == 202
        pool.submit(lambda: connection.close()).result()

"""Every error is application/problem+json, whoever found it."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, OperationalError
from django.test import Client

from telemetry.api import devices
from telemetry.api.parsers import MAX_BYTES
from telemetry.api.problems import problem_response
from telemetry.models import Device
from tests.telemetry.api.conftest import Answer, Api


def is_problem(answer: Answer, status: int) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.headers
    assert answer.status == status
    assert answer.body["type"] == "about:blank"
    assert answer.body["status"] == status
    assert answer.body["title"]
    assert answer.body["detail"]


@pytest.mark.parametrize("path", ["nothing", "devices/", "devices/a/b", "quarantine/x", "groups/"])
def test_no_such_route(api: Api, path: str) -> None:
    is_problem(api.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "devices"), ("DELETE", "device-types"), ("POST", "quarantine"), ("PATCH", "keys"), ("GET", "auth/token")],
)
def test_a_method_that_a_route_does_not_take(api: Api, method: str, path: str) -> None:
    is_problem(api.send(method, path), 405)


def test_another_content_type(api: Api) -> None:
    is_problem(api.post("devices", raw=b"name=pump", content_type="application/x-www-form-urlencoded"), 415)
    is_problem(api.post("devices", raw=b"<a/>", content_type="text/xml"), 415)


def test_an_answer_that_nobody_can_give(api: Api) -> None:
    api.headers["Accept"] = "image/png"
    is_problem(api.get("devices"), 406)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'name': 'p'}",
        b'{"name": NaN}',
        b'{"latitude": -Infinity}',
        b'{"latitude": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"\xff\xfe",
        b'"\xc3"',
    ],
)
def test_malformed_json(api: Api, body: bytes) -> None:
    answer = api.post("devices", raw=body)
    is_problem(answer, 400)
    assert not Device.objects.exists()


def test_a_body_beyond_the_limit(api: Api) -> None:
    is_problem(api.post("devices", raw=b" " * (MAX_BYTES + 1)), 413)


def test_a_session_without_csrf_token(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    answer = Api(client).post("devices", {"name": "p"})
    is_problem(answer, 403)
    assert "CSRF" in answer.body["detail"]


def test_an_unknown_host(api: Api) -> None:
    api.headers["Host"] = "evil.example"
    is_problem(api.get("devices"), 400)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("connection refused"), 503),
        (redis.ConnectionError("connection refused"), 503),
        (IntegrityError("duplicate key"), 409),
        (DataError("out of range"), 400),
        (RuntimeError("a bug"), 500),
    ],
)
def test_what_goes_wrong_below(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(devices.DeviceList, "filter_queryset", fail)
    answer = api.get("devices")
    is_problem(answer, status)
    assert str(error) not in str(answer.body)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_errors_of_a_list_say_which_item(rf: Any) -> None:
    from rest_framework import serializers

    from telemetry.api.problems import exception_handler

    faults = [{}, {"time": ["no"], "metrics": {"t": [serializers.ErrorDetail("bad", "out_of_range")]}}]
    response = exception_handler(serializers.ValidationError(faults), {})
    assert response is not None
    import json

    assert json.loads(response.content)["errors"] == [
        {"index": 1, "field": "time", "code": "invalid", "detail": "no"},
        {"index": 1, "field": "metrics.t", "code": "out_of_range", "detail": "bad"},
    ]


def test_gateways_write_problems_with_headers() -> None:
    response = problem_response(503, "Service Unavailable", "later", headers={"Retry-After": "2"})
    assert (response.status_code, response["Content-Type"], response["Retry-After"]) == (
        503,
        "application/problem+json",
        "2",
    )

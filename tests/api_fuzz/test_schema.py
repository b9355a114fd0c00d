"""Requests made up from the API's own description: whatever is sent, no answer is a fault of ours, and all are as told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.errors import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from iotplatform.access.tokens import issue
from telemetry.scopes import SCOPES
from tests.builders import drain_all, make_device, make_key, post_readings
from tests.thresholds.judging.parts import make_threshold

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def headers(api: Any) -> dict[str, dict[str, str]]:
    """How an administrator and a device present themselves."""
    token = issue(User.objects.get(username="admin"), SCOPES).access
    return {"admin": {"Authorization": f"Bearer {token}"}, "device": {"Authorization": f"Bearer {make_key()}"}}


@pytest.fixture
def api(platform_db: None) -> Iterator[Any]:
    """The API's description, over a platform in which there is something to find."""
    User.objects.create_superuser("admin", password="correct horse battery staple")
    key = make_key(make_device("pump-7"))
    post_readings(key, [{"metrics": {"temperature": 21.5, "running": True}}, {"metrics": {"temperature": "x"}}])
    drain_all()
    make_threshold()
    return schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", get_wsgi_application())


def fuzz(api: Any, headers: dict[str, str], examples: int, paths: str = "") -> None:
    """So many made-up requests to every operation whose path has ``paths`` in it; raises what was found, all of it."""
    found = []
    for result in api.get_all_operations():
        operation = result.ok()
        if paths not in operation.path:
            continue

        @given(operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def answer_is_as_told(right: Any, wrong: Any) -> None:
            for case in (right, wrong):
                case.call_and_validate(headers=headers, checks=_CHECKS)

        try:
            answer_is_as_told()
        except Unsatisfiable:  # an operation without parameters cannot be asked wrongly
            operation.Case().call_and_validate(headers=headers, checks=_CHECKS)
        except FailureGroup as error:
            found.append(f"{operation.label}: {_told(error)}")
    assert not found, "\n\n".join(found)


def _told(error: BaseException) -> str:
    inner = getattr(error, "exceptions", None)
    return "\n".join(map(_told, inner)) if inner else str(error)


def test_an_administrator_gets_no_fault_of_ours(api: Any, headers: dict[str, dict[str, str]]) -> None:
    fuzz(api, headers["admin"], 4)


def test_a_device_gets_no_fault_of_ours(api: Any, headers: dict[str, dict[str, str]]) -> None:
    fuzz(api, headers["device"], 10, "/re")


@pytest.mark.slow
def test_an_administrator_gets_no_fault_of_ours_for_long(api: Any, headers: dict[str, dict[str, str]]) -> None:
    fuzz(api, headers["admin"], 40)


@pytest.mark.slow
def test_a_device_gets_no_fault_of_ours_for_long(api: Any, headers: dict[str, dict[str, str]]) -> None:
    fuzz(api, headers["device"], 15)

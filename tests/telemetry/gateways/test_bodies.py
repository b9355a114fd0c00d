"""Bodies as they come over the wire: in pieces, too large, too slow, cut, and too many of them at once."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.gateways.http import BodyRoom
from telemetry.gateways.readings import Refused
from tests.builders import make_device, make_key
from tests.gateway import request


def coming(*messages: dict[str, Any]) -> Any:
    left: Iterator[dict[str, Any]] = iter(messages)

    async def receive() -> dict[str, Any]:
        message = next(left, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    return receive


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def status_of(room: BodyRoom, receive: Any, most: int = 100, length: int | None = None) -> int:
    with pytest.raises(Refused) as refused:
        asyncio.run(room.read(receive, most, length))
    return refused.value.answer.status


@pytest.mark.django_db(transaction=True)
def test_a_body_in_pieces_and_without_a_length_is_taken(platform_db: None) -> None:
    key = make_key(make_device("pump-7"))
    body = json.dumps([{"metrics": {"t": value}} for value in range(500)]).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    parts = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    assert request("POST", "/api/v1/readings", parts, headers).json()["accepted"] == 500
    packed = gzip.compress(body)
    answer = request("POST", "/api/v1/readings", [packed[:50], packed[50:]], headers | {"Content-Encoding": "gzip"})
    assert answer.json()["accepted"] == 500


@pytest.mark.django_db(transaction=True)
def test_a_body_shorter_than_announced_is_not_taken(platform_db: None) -> None:
    key = make_key(make_device("pump-7"))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Content-Length": "1000"}
    answer = request("POST", "/api/v1/readings", b'{"metrics": {"t": 1}}', headers)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.django_db(transaction=True)
def test_a_size_over_the_limit_is_refused_before_a_byte_of_it_is_read(platform_db: None) -> None:
    key = make_key(make_device("pump-7"))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Content-Length": str(1 << 30)}
    assert request("POST", "/api/v1/readings", b"", headers, receive=coming()).status_code == 413


def test_nothing_is_waited_for_behind_the_length_that_was_announced() -> None:
    room = BodyRoom(most=1000, seconds=0.02)
    assert asyncio.run(room.read(coming(piece(b"x" * 60), piece(b"y" * 40)), 100, 100)) == b"x" * 60 + b"y" * 40
    assert status_of(room, coming(piece(b"x" * 60), piece(b"y" * 39)), length=100) == 408


def test_what_is_too_large_too_slow_or_cut_is_refused_and_held_no_longer() -> None:
    room = BodyRoom(most=1000, seconds=0.02)
    assert status_of(room, coming(piece(b"x" * 60), piece(b"x" * 60))) == 413
    assert status_of(room, coming(piece(b"x" * 60))) == 408
    assert status_of(room, coming(piece(b"x" * 60), {"type": "http.disconnect"})) == 400
    assert room.held == 0


def test_bodies_share_a_bounded_room() -> None:
    room = BodyRoom(most=150, seconds=1)

    async def work() -> None:
        first = await room.read(coming(piece(b"x" * 100, more=False)), 100)
        with pytest.raises(Refused) as refused:
            await room.read(coming(piece(b"x" * 100, more=False)), 100)
        assert refused.value.answer.status == 503
        assert "Retry-After" in refused.value.answer.headers
        room.leave(first)
        assert await room.read(coming(piece(b"x" * 100, more=False)), 100)

    asyncio.run(work())


@pytest.mark.django_db(transaction=True)
def test_a_name_with_an_underscore_does_not_pass_for_a_header_that_only_a_proxy_may_set(platform_db: None) -> None:
    answer = request("GET", "/healthz", headers={"x_request_id": "from-afar"})
    assert answer.status_code == 200
    assert answer["X-Request-ID"] != "from-afar"
    assert request("GET", "/healthz", headers={"X-Request-ID": "mine"})["X-Request-ID"] == "mine"

"""What is asked of a request for readings, and what it is answered, whichever server brought it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from telemetry.api.problems import CONTENT_TYPE as PROBLEM
from telemetry.api.problems import phrase
from telemetry.gateways.body import NotGzip, TooLarge, gunzip
from telemetry.intake.accept import Accepted, Overdrawn, Sender, Unavailable
from telemetry.intake.batch import Columns, Rejection
from telemetry.intake.decode import DECODERS
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.process import Process
from telemetry.intake.refuse import PAYLOAD_CHARACTERS
from telemetry.receipts import Receipt, state_of
from telemetry.registry import KeyEntry
from telemetry.registry.registry import RegistryStale

__all__ = [
    "Answer",
    "Head",
    "Refused",
    "Taken",
    "answered",
    "check",
    "decoded",
    "final_state",
    "refusal",
    "seconds_to_wait",
]

#: Errors listed in one answer; `rejected` counts them all, and the quarantine has them.
_MOST_ERRORS = 1000
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Head:
    """What stands before the body. ``length`` is Content-Length, None where the body is chunked."""

    authorization: str = ""
    content_type: str = ""
    encoding: str = ""
    idempotency_key: str = ""
    length: int | None = None
    request_id: str = ""
    #: As in the query: ``?wait=5``, ``?judge=true``.
    wait: str | None = None
    judge: bool = False
    #: The trace context of the request, empty where it is not traced.
    trace: bytes = b""


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The request is answered with this problem."""

    #: What of the request goes to quarantine all the same.
    keep: Taken | None = None

    def __init__(self, status: int, detail: str, errors: list[Rejection] | None = None, **headers: str) -> None:
        super().__init__(detail)
        problem: dict[str, Any] = {"type": "about:blank", "title": phrase(status), "status": status, "detail": detail}
        if errors is not None:
            problem["errors"] = _as_json(errors)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = Answer(status, json.dumps(problem).encode(), PROBLEM, named)


@dataclass(frozen=True, slots=True)
class Taken:
    """A decoded request and who sent it. ``now``: time of receipt, seconds since 1970."""

    columns: Columns
    sender: Sender
    now: float

    @property
    def received_at(self) -> int:
        """µs since 1970."""
        return int(self.now * 1e6)


def check(head: Head, here: Process, now: float) -> KeyEntry:
    """All that can be said before the body is read. Raises Refused, and what the database raises."""
    here.require_ready()
    scheme, _, token = head.authorization.partition(" ")
    key = here.registry.key(token.strip(), now) if scheme.lower() == "bearer" else None
    if key is None:
        raise Refused(
            401, "Send a valid device key: Authorization: Bearer iot_…", WWW_Authenticate='Bearer realm="api"'
        )
    if head.content_type not in DECODERS:
        raise Refused(415, f"Send Content-Type: {' or '.join(DECODERS)}.")
    if head.encoding not in ("", "identity", "gzip"):
        raise Refused(415, "Send the body plain or with Content-Encoding: gzip.", Accept_Encoding="gzip")
    if head.length is not None and head.length > settings.PLATFORM.max_body_bytes:
        raise too_large()
    if len(head.idempotency_key) > 255:
        raise Refused(400, "An Idempotency-Key has 255 characters at most.")
    return key


def decoded(head: Head, key: KeyEntry, body: bytes, here: Process, now: float) -> Taken:
    """Decompress and decode the body; refuse what cannot be used as a whole. Raises Refused."""
    most = settings.PLATFORM.max_values_per_request
    # Old data is judged only where it is asked for; then nobody is notified.
    judge = head.judge or not key.backfill
    sender = Sender(key, key.backfill, judge, head.request_id, head.idempotency_key, trace=head.trace)
    if head.encoding == "gzip":
        body = _plain(body)
    try:
        columns = DECODERS[head.content_type](body, most)
    except TooManyValues as error:
        raise Refused(413, str(error)) from None
    except Malformed as error:
        refused = Refused(400, str(error), [Rejection(None, "", "malformed", str(error))])
        refused.keep = _as_text(key, body, str(error), sender, now)
        raise refused from None
    limit = key.rate_limit if key.rate_limit is not None else settings.PLATFORM.key_rate_limit
    if limit and (wait := here.rates.wait_for(key.id, limit, len(columns))):
        raise Refused(429, f"More than {limit:g} readings per second.", Retry_After=str(int(wait) + 1))
    return Taken(columns, sender, now)


def answered(accepted: Accepted) -> Answer:
    """202, or why nothing could be accepted (raises Refused)."""
    if accepted.receipt is None:
        codes = {refused.code for refused in accepted.errors}
        status = 403 if codes == {"forbidden_device"} else 400
        detail = f"Nothing in it could be accepted. The first reason: {accepted.errors[0].detail}"
        raise Refused(status, detail, accepted.errors)
    answer = {
        "accepted": accepted.accepted,
        "rejected": accepted.rejected,
        "receipt": accepted.receipt.token(),
        "errors": _as_json(accepted.errors) if accepted.errors else [],
    }
    return Answer(202, _encode(answer))


def seconds_to_wait(head: Head) -> float:
    """How long ``?wait=`` asks to hold the answer until all is stored; 0 where it does not."""
    try:
        return max(0.0, min(float(head.wait or 0), settings.PLATFORM.max_wait_seconds))
    except ValueError:
        return 0.0


def final_state(accepted: Accepted, receipt: Receipt) -> Answer | None:
    """200 with what became of it; None while that is not known, or cannot be asked for."""
    try:
        state = state_of(receipt)
    except (DatabaseError, InterfaceError):
        return None  # it was accepted all the same; the receipt can be asked for later
    if state["state"] == "pending":
        return None
    return Answer(200, _encode({**state, "receipt": receipt.token(), "errors": _as_json(accepted.errors)}))


def refusal(error: Exception) -> Refused:
    """The 503 (or 429) of an error that is the log's or the database's."""
    assert isinstance(error, Unavailable | RegistryStale | DatabaseError | InterfaceError)
    if isinstance(error, Overdrawn):
        return Refused(429, f"Nothing was taken: {error}; send it without an Idempotency-Key.", Retry_After="600")
    why = str(error) or "the database does not answer"
    return Refused(503, f"Nothing was taken, send it again later: {why}", Retry_After="2")


def too_large() -> Refused:
    """The 413 of a body beyond MAX_BODY_BYTES."""
    most = settings.PLATFORM.max_body_bytes
    detail = f"A request has {most:,} bytes at most, after decompression too; send the rest in further requests."
    return Refused(413, detail)


def cut_short() -> Refused:
    """The 400 of a body whose sender stopped half-way."""
    return Refused(400, "The body could not be read to its end.")


def _plain(body: bytes) -> bytes:
    try:
        return gunzip(body, settings.PLATFORM.max_body_bytes)
    except TooLarge:
        raise too_large() from None
    except NotGzip as error:
        raise Refused(400, str(error), [Rejection(None, "", "malformed", str(error))]) from None


def _as_text(key: KeyEntry, body: bytes, detail: str, sender: Sender, now: float) -> Taken | None:
    """A body that is no JSON goes to quarantine as text, as far as the sender's share of it allows."""
    if not body:
        return None
    payload = body[:PAYLOAD_CHARACTERS].decode("utf-8", "backslashreplace")
    refused = Rejection(None, "", "malformed", detail[:500], key.device_name or "", payload)
    return Taken(Columns.empty([refused]), replace(sender, idempotency_key=""), now)


def _as_json(errors: list[Rejection]) -> list[dict[str, Any]]:
    return [refused.as_problem() for refused in errors[:_MOST_ERRORS]]

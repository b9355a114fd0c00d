"""Receipts: signed tokens that name the log entries that a request became. No row is written for one.

Whether it is stored is a comparison with the committed position; only entries of which something was a duplicate or went
to quarantine have a row. A token is base64url of: version u8, key id i32, received_at i64 (µs), accepted u32, rejected
u32, length of the segment u8 and the segment, number of entries u16, then shard u16, readings u32, ms u64, sequence u32
each; and the first 16 bytes of its HMAC-SHA256 (RFC 2104) under a key derived from SECRET_KEY.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

from telemetry.log.entries import ordinal
from telemetry.store.positions import WHOLE_ENTRY

_VERSION = 1
_HEAD = struct.Struct("<BiqII")
_ENTRY = struct.Struct("<HIQI")
_SIGNATURE = 16


class InvalidReceipt(ValueError):
    """Not one of ours, or cut."""


@dataclass(frozen=True, slots=True)
class ReceiptEntry:
    """One log entry: its shard, how many readings it has, its id."""

    shard: int
    readings: int
    id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a request became. ``key_id`` is 0 where no device key was used; received_at in µs since 1970."""

    key_id: int
    received_at: int
    accepted: int
    rejected: int
    segment: str
    entries: tuple[ReceiptEntry, ...]

    def token(self) -> str:
        """The signed text that a sender gets."""
        segment = self.segment.encode()
        parts = [
            _HEAD.pack(_VERSION, self.key_id, self.received_at, self.accepted, self.rejected),
            struct.pack("<B", len(segment)) + segment + struct.pack("<H", len(self.entries)),
        ]
        parts += [_ENTRY.pack(entry.shard, entry.readings, *ordinal(entry.id)) for entry in self.entries]
        body = b"".join(parts)
        return base64.urlsafe_b64encode(body + _sign(body)).rstrip(b"=").decode()

    @classmethod
    def read(cls, token: str) -> Receipt:
        """Raises InvalidReceipt."""
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidReceipt("not a receipt") from None
        body, signature = data[:-_SIGNATURE], data[-_SIGNATURE:]
        if len(body) < _HEAD.size or not hmac.compare_digest(signature, _sign(body)) or body[0] != _VERSION:
            raise InvalidReceipt("not a receipt of this platform")
        _, key_id, received_at, accepted, rejected = _HEAD.unpack_from(body)
        at = _HEAD.size + 1
        length = body[_HEAD.size]
        segment = body[at : at + length].decode()
        (count,) = struct.unpack_from("<H", body, at + length)
        at += length + 2
        entries = []
        for _ in range(count):
            shard, readings, milliseconds, sequence = _ENTRY.unpack_from(body, at)
            entries.append(ReceiptEntry(shard, readings, f"{milliseconds}-{sequence}"))
            at += _ENTRY.size
        return cls(key_id, received_at, accepted, rejected, segment, tuple(entries))


def state_of(receipt: Receipt) -> dict[str, Any]:
    """What became of it, as the API answers: state pending, stored or lost, and the counts.

    All of it comes from one statement, so that it is of one moment.
    """
    shards = [entry.shard for entry in receipt.entries]
    ids = [entry.id for entry in receipt.entries]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.i, p.segment, p.stored, s.ended_at_entry, s.segment IS NOT NULL, "
            "coalesce(o.duplicates, 0), coalesce(o.conflicts, 0), coalesce(o.quarantined, 0) "
            "FROM unnest(%s::int[], %s::text[]) WITH ORDINALITY AS u(shard, entry, i) "
            "LEFT JOIN telemetry_shardposition p ON p.shard = u.shard "
            "LEFT JOIN telemetry_logsegment s ON s.shard = u.shard AND s.segment = %s "
            "LEFT JOIN telemetry_receiptoutcome o ON o.shard = u.shard AND o.segment = %s AND o.entry = u.entry",
            [shards, ids, receipt.segment, receipt.segment],
        )
        rows = sorted(cursor.fetchall())
    states = set()
    duplicates = conflicts = quarantined = stored = 0
    for entry, (_, segment, position, ended, _, repeats, differing, aside) in zip(receipt.entries, rows, strict=True):
        state = _state(entry, receipt.segment, segment, position, ended)
        states.add(state)
        if state == "stored":
            aside = entry.readings if aside == WHOLE_ENTRY else aside
            duplicates, conflicts, quarantined = duplicates + repeats, conflicts + differing, quarantined + aside
            stored += entry.readings - repeats - aside
    state = "lost" if "lost" in states else "pending" if "pending" in states else "stored"
    return {
        "state": state,
        "accepted": receipt.accepted,
        "stored": stored,
        "duplicates": duplicates,
        "conflicts": conflicts,
        "quarantined": quarantined,
        "rejected": receipt.rejected,
    }


def _state(entry: ReceiptEntry, of: str, segment: str | None, position: str | None, ended: str | None) -> str:
    if ended is not None:
        return "stored" if ordinal(entry.id) <= ordinal(ended) else "lost"
    if position is not None and segment == of and ordinal(entry.id) <= ordinal(position):
        return "stored"
    return "pending"


def _sign(body: bytes) -> bytes:
    return hmac.new(_signing_key(), body, hashlib.sha256).digest()[:_SIGNATURE]


@lru_cache(maxsize=1)
def _signing_key() -> bytes:
    return hmac.new(settings.SECRET_KEY.encode(), b"telemetry.receipts", hashlib.sha256).digest()

"""What one log entry holds: the accepted readings of one request for one shard, and the refused ones with their reasons.

Layout, little-endian: version u8, flags u8, layout epoch u16, key id i32, received_at i64 (µs since 1970), readings u32,
bytes of refusals u32, request id 32 bytes ASCII (space-padded); then times i64[n], values f64[n], series i32[n], and the
refusals as MessagePack. Refused readings ride with the accepted ones so that quarantine is exactly-once too.

Version 2 is version 1 with the trace context of its request (25 bytes, see telemetry.tracing.context) at the end. Entries
that are not traced are written as version 1, which every release reads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import msgspec
import numpy as np

from telemetry.intake.batch import Batch, Rejection
from telemetry.tracing import context as trace_context

VERSION = 1
TRACED_VERSION = 2
#: Beyond it the first byte is no version of a release to come: such bytes would hold up their shard for ever.
_NEWEST_TO_COME = 31
_HEADER = struct.Struct("<BBHiqII32s")
_JUDGE, _BACKFILL = 1, 2
_rejections = msgspec.msgpack.Decoder(list[Rejection])
_encoder = msgspec.msgpack.Encoder()


class UnknownVersion(ValueError):
    """Written by a newer release: it waits for a worker of that release, it is not broken."""


@dataclass(slots=True)
class Payload:
    """One entry's content. ``key_id`` is 0 where no device key was used (imports, replays)."""

    batch: Batch
    received_at: int
    epoch: int = 0
    key_id: int = 0
    #: Old data (imports, backfill keys) is judged only where it was asked for.
    judge: bool = True
    backfill: bool = False
    request_id: str = ""
    rejections: list[Rejection] = field(default_factory=list)
    #: The trace context of its request, empty where it is not traced.
    trace: bytes = b""

    def encode(self) -> bytes:
        refused = _encoder.encode(self.rejections) if self.rejections else b""
        flags = _JUDGE * self.judge | _BACKFILL * self.backfill
        batch = self.batch
        header = _HEADER.pack(
            TRACED_VERSION if self.trace else VERSION,
            flags,
            self.epoch & 0xFFFF,
            self.key_id,
            self.received_at,
            len(batch),
            len(refused),
            self.request_id.encode("ascii", "replace")[:32].ljust(32),
        )
        columns = (batch.times.tobytes(), batch.values.tobytes(), batch.series.tobytes())
        return b"".join((header, *columns, refused, self.trace))


def decode(data: bytes) -> Payload:
    """The content of an entry. Raises UnknownVersion, or ValueError where the bytes are not an entry."""
    if not data:
        raise ValueError("the entry is empty")
    if not VERSION <= data[0] <= _NEWEST_TO_COME:
        raise ValueError(f"the entry begins with {data[0]}, which is no version")
    if data[0] not in (VERSION, TRACED_VERSION):
        raise UnknownVersion(f"entry of version {data[0]}, this release reads up to {TRACED_VERSION}")
    if len(data) < _HEADER.size:
        raise ValueError(f"the entry has {len(data)} bytes, its header alone has {_HEADER.size}")
    _, flags, epoch, key_id, received_at, count, refused, request_id = _HEADER.unpack_from(data)
    times_at = _HEADER.size
    values_at, series_at = times_at + 8 * count, times_at + 16 * count
    refused_at = times_at + 20 * count
    trace_at = refused_at + refused
    size = trace_at + (trace_context.BYTES if data[0] == TRACED_VERSION else 0)
    if len(data) != size:
        raise ValueError(f"the entry has {len(data)} bytes, but announces {size}")
    batch = Batch(
        np.frombuffer(data, "<i4", count, series_at),
        np.frombuffer(data, "<i8", count, times_at),
        np.frombuffer(data, "<f8", count, values_at),
    )
    try:
        rejections = _rejections.decode(data[refused_at:trace_at]) if refused else []
    except msgspec.MsgspecError as error:
        raise ValueError(f"the entry's refusals cannot be read: {error}") from None
    return Payload(
        batch,
        received_at,
        epoch,
        key_id,
        bool(flags & _JUDGE),
        bool(flags & _BACKFILL),
        request_id.decode("ascii", "replace").rstrip(),
        rejections,
        data[trace_at:],
    )

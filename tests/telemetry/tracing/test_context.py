"""A trace's context survives the log, and what is not one is ignored, as the standard asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.intake.batch import Batch, Rejection
from telemetry.log.payload import TRACED_VERSION, VERSION, Payload, UnknownVersion, decode
from telemetry.tracing.context import BYTES, as_bytes, as_text, is_sampled

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_text_and_bytes_say_the_same(trace: int, span: int, flags: int) -> None:
    text = f"00-{trace:032x}-{span:016x}-{flags:02x}"
    assert as_text(as_bytes(text)) == text
    assert len(as_bytes(text)) == BYTES
    assert is_sampled(as_bytes(text)) == bool(flags & 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no trace",
        GIVEN.upper(),
        GIVEN + "-more",
        "ff" + GIVEN[2:],
        GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GIVEN.replace("00f067aa0ba902b7", "0" * 16),
        GIVEN[:-1],
    ],
)
def test_what_is_no_context_is_ignored(text: str) -> None:
    assert as_bytes(text) == b""
    assert not is_sampled(as_bytes(text))


def test_a_later_version_of_the_standard_is_read_by_its_known_part() -> None:
    assert as_bytes("01" + GIVEN[2:] + "-more") == as_bytes(GIVEN)


def _payload(trace: bytes, refused: int) -> Payload:
    batch = Batch(np.array([1, 2], "i4"), np.array([10, 20]), np.array([0.5, 1.5]))
    rejections = [Rejection(None, "", "malformed", "no")] * refused
    return Payload(batch, 5, rejections=rejections, trace=trace)


@pytest.mark.parametrize("refused", [0, 2])
def test_an_entry_of_the_log_carries_it_and_all_else(refused: int) -> None:
    data = _payload(as_bytes(GIVEN), refused).encode()
    found = decode(data)
    assert data[0] == TRACED_VERSION
    assert as_text(found.trace) == GIVEN
    assert found.batch.values.tolist() == [0.5, 1.5]
    assert len(found.rejections) == refused
    with pytest.raises(ValueError, match="announces"):
        decode(data[:-1])


def test_what_is_not_traced_is_written_as_every_release_reads_it() -> None:
    data = _payload(b"", 1).encode()
    assert data[0] == VERSION
    assert decode(data).trace == b""
    with pytest.raises(UnknownVersion):
        decode(bytes([TRACED_VERSION + 1]) + data[1:])

"""JSON in particular: the fast and the careful decoder agree on everything, and nothing that is sent can break them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from telemetry.intake.decode import json as fast
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.decode.json import decode_json
from telemetry.intake.decode.json_careful import decode_carefully
from tests.telemetry.intake.documents import ANYTHING, DOCUMENTS, READINGS, Row, count_of, faults_of, rows_of

_MOST = 100_000
_SMALL = b'{"device": "p\\u00fc\xc3\xa9", "time": "2026-11-21T10:00:00Z", "metrics": {"a": -1.5e3, "b": true}}'


def outcome(decode: Callable[[], Any]) -> Any:
    """The rows by reading and what was refused, or that it was malformed."""
    try:
        columns = decode()
    except Malformed:
        return "malformed"
    if not len(columns) and not columns.rejections:
        return "malformed"
    return sorted(rows_of(columns), key=repr), sorted(faults_of(columns), key=repr)


@given(DOCUMENTS, st.sampled_from([None, (",", ":"), (", ", " : ")]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_both_decoders_agree_on_valid_documents(document: Any, separators: Any, ascii_only: bool) -> None:
    body = json.dumps(document, separators=separators, ensure_ascii=ascii_only).encode()
    assert outcome(lambda: decode_json(body, _MOST)) == outcome(lambda: decode_carefully(body, _MOST))


@given(ANYTHING | st.lists(READINGS | ANYTHING, max_size=5))
@settings(max_examples=300, deadline=None)
def test_both_decoders_agree_on_anything_else(document: Any) -> None:
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    wide = [row for row in rows_of_or_none(body) if abs(row.value) > 1e100]
    assume(not wide)  # the fast one leaves those to the check of ranges
    assert outcome(lambda: decode_json(body, _MOST)) == outcome(lambda: decode_carefully(body, _MOST))


def rows_of_or_none(body: bytes) -> list[Row]:
    try:
        return rows_of(decode_json(body, _MOST))
    except Malformed:
        return []


@pytest.mark.parametrize(
    "document",
    [
        [{"device": "a", "time": f"2026-11-21T10:00:{n:02}Z", "metrics": {"t": n, "on": True}} for n in range(10)],
        {"readings": [{"device": "a", "time": 1, "metrics": {"t": 1.5}}]},
        {"metrics": {"t": 1}},
        {"device": "a", "times": ["2026-11-21T10:00:00Z", 5], "metrics": {"t": [1, None], "on": [True, False]}},
    ],
)
def test_usual_documents_take_the_fast_way(document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(body: bytes, most: int) -> Any:
        raise AssertionError("decoded carefully")

    monkeypatch.setattr(fast, "decode_carefully", refuse)
    for separators in (None, (",", ":")):
        assert len(decode_json(json.dumps(document, separators=separators).encode(), _MOST)) > 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"metrics": {"a": 1, "a": 2}}', ["metrics.a"]),
        (b'{"metrics":{"a":1,"b":5,"a":1}}', ["metrics.a"]),
        (b'{"metrics": {"a": 1}, "metrics": {"b": 2}}', ["metrics"]),
        (b'{"device": "x", "device": "y", "metrics": {"a": 1}}', ["device"]),
        (b'{"time": 1, "metrics": {"a": 1}, "time": 2}', ["time"]),
        (b'{"times": [1], "metrics": {"a": [1], "a": [2]}}', ["metrics.a"]),
        (b'[{"metrics": {"a": 1}}, {"metrics": {"\\u0061": 1, "a": 2}}]', ["metrics.a"]),
        (b'{"readings": [{"metrics": {"a": 1, "a": 2}}]}', ["metrics.a"]),
    ],
)
def test_a_name_that_stands_twice_is_refused_not_guessed(body: bytes, fields: list[str]) -> None:
    assert [(field, code) for _, field, code, _ in faults_of(decode_json(body, _MOST))] == [
        (f, "malformed") for f in fields
    ]


def test_readings_that_stand_twice_are_malformed() -> None:
    with pytest.raises(Malformed, match="twice"):
        decode_json(b'{"readings": [{"metrics": {"a": 1}}], "readings": [{"metrics": {"b": 1}}]}', _MOST)


@pytest.mark.parametrize("cut", range(len(_SMALL)))
def test_a_document_that_is_cut_anywhere_is_malformed(cut: int) -> None:
    assert len(decode_json(_SMALL, _MOST)) == 2
    with pytest.raises(Malformed, match=r".{10,300}"):
        decode_json(_SMALL[:cut], _MOST)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_changed_bytes_never_break_it(data: st.DataObject) -> None:
    body = bytearray(_SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    for document in (bytes(body), b"[" + bytes(body) + b"]"):
        try:
            assert count_of(decode_json(document, _MOST)) > 0
        except Malformed as error:
            assert str(error)


@given(st.binary(max_size=40))
def test_any_bytes_are_malformed_or_decoded(body: bytes) -> None:
    try:
        assert count_of(decode_json(body, _MOST)) > 0
    except Malformed as error:
        assert str(error)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
def test_numbers_that_are_not_finite_cost_themselves_only(token: str) -> None:
    columns = decode_json(f'[{{"metrics": {{"a": {token}, "b": 1}}}}, {{"metrics": {{"a": 2}}}}]'.encode(), _MOST)
    assert faults_of(columns) == [(0, "metrics.a", "not_finite", 1)]
    assert [(row.metric, row.value) for row in rows_of(columns)] == [("b", 1.0), ("a", 2.0)]


@pytest.mark.parametrize("token", ["9" * 5000, "NaN", "1e400"])
def test_times_that_are_no_number_cost_their_reading_only(token: str) -> None:
    columns = decode_json(f'[{{"time": {token}, "metrics": {{"a": 1}}}}, {{"metrics": {{"a": 2}}}}]'.encode(), _MOST)
    assert faults_of(columns) == [(0, "time", "invalid_time", 1)]
    assert len(columns) == 1


@pytest.mark.parametrize("depth", [100, 500, *range(900, 1000), 100_000])
@pytest.mark.parametrize(
    "form", ['{{"metrics": {{"a": {}}}}}', "[{}]", '{{"readings": {}}}', '{{"device": {}, "metrics": {{"a": 1}}}}']
)
def test_any_nesting_is_refused_or_malformed(depth: int, form: str) -> None:
    body = form.format("[" * depth + "]" * depth).encode()
    try:
        columns = decode_json(body, _MOST)
    except Malformed:
        return
    assert not len(columns)
    assert columns.rejections


@pytest.mark.parametrize("name", ["\\ud800", "\\udc00x", "a\\u0000b", "😀", "‮abc", "e\u0301", "x" * 10_000])
def test_refusals_of_any_name_can_be_written_down(name: str) -> None:
    for body in (
        f'{{"metrics": {{"{name}": "x"}}}}',
        f'{{"device": "{name}", "metrics": {{"a": []}}}}',
        f'{{"{name}": 1}}',
    ):
        (refused,) = decode_json(body.encode(), _MOST).rejections
        for text in (refused.field, refused.detail, refused.device, refused.payload):
            text.encode()
        assert len(refused.field) <= 1200
        assert len(refused.detail) <= 3000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_than_utf_8_are_malformed(encoding: str) -> None:
    with pytest.raises(Malformed):
        decode_json('{"device": "Süd", "metrics": {"a": 1}}'.encode(encoding), _MOST)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert len(decode_json(b"\xef\xbb\xbf" + _SMALL, _MOST)) == 2


_HOSTILE = {
    "a long device name over many bad values": {"device": "d" * 4_000_000, "metrics": {f"m{n}": "x" for n in range(50_000)}},
    "a long time over many bad values": {
        "time": "2026-11-21T10:00:00." + "0" * 4_000_000 + "Z", "metrics": {f"m{n}": "x" for n in range(50_000)}
    },
    "many columns that do not fit many times": {"times": [1] * 40_000, "metrics": {f"m{n}": 1 for n in range(50_000)}},
    "many columns without a time": {"times": [], "metrics": {f"m{n}": 1 for n in range(90_000)}},
    "many runs": [{"times": [n], "metrics": {"a": [1]}} for n in range(90_000)],
    "many empty objects": [{}] * 2_000_000,
    "many empty readings": [{"metrics": {}}] * 400_000,
    "one name many times": "[{" + ",".join(['"metrics":{"a":1}'] * 400_000) + "}]",
}  # fmt: skip


@pytest.mark.parametrize("case", _HOSTILE)
def test_hostile_documents_cost_no_more_than_their_size(case: str) -> None:
    document = _HOSTILE[case]
    body = (document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))).encode()
    began = time.process_time()
    try:
        columns = decode_json(body, _MOST)
    except TooManyValues:
        columns = None
    assert time.process_time() - began < 8, "it takes about a second; what grows with the square takes minutes"
    if columns is not None:
        assert (
            sum(len(refused.payload) + len(refused.detail) + len(refused.device) for refused in columns.rejections)
            < 100 << 20
        )

"""Bodies of one shape: what is decoded as a whole is what the careful decoder reads one by one, and nothing else passes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.intake.decode import json_uniform
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.decode.json import decode_json
from telemetry.intake.decode.json_careful import decode_carefully
from telemetry.intake.decode.json_uniform import decode_uniform
from tests.telemetry.intake.documents import Row, rows_of

_MOST = 100_000


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_uniform, "_LEAST_BYTES", 0)
    monkeypatch.setattr(json_uniform, "_IN_VAIN", 0)


def carefully(body: bytes) -> list[Row] | str:
    """In order; "refused" where any of it is."""
    try:
        columns = decode_carefully(body, _MOST)
    except Malformed:
        return "refused"
    return "refused" if columns.rejections else rows_of(columns)


def assert_same_or_left_to_others(body: bytes) -> bool:
    """Whether it was decoded as a whole."""
    columns = decode_uniform(body, _MOST)
    again = decode_uniform(body, _MOST)  # its shape may be known now
    assert (columns is None) is (again is None)
    if columns is None or again is None:
        return False
    rows = rows_of(columns)
    too_large = any(abs(row.value) > 1e100 for row in rows)  # which the check of values finds later, for all decoders
    assert rows == rows_of(again)
    assert carefully(body) == ("refused" if too_large else rows)
    return True


_NAMES = st.sampled_from(
    ["pump-7", "pump-8", "a", "", "Pumpe Süd", "泵", "}, {", "[1,2]", ":", "device", "metrics", "\x7f"]
)
#: As machines name things: all as long as each other.
_EVEN_NAMES = st.sampled_from(["pump-7", "pump-8", "}}, {{", "[1,2]:", "Device", "time}}", "Pümp7"])
_TIMES = st.integers(0, 59).map(lambda second: f"2026-11-21T10:00:{second:02}.250Z")
_ODD_TIMES = st.sampled_from(
    [
        *(
            "2026-11-21T10:00:00Z",
            "2026-11-21T12:00:00+02:00",
            "2024-02-29T23:59:59.999999Z",
            "0001-01-01T00:00:00.000Z",
        ),
        *(
            "2026-02-29T10:00:00.250Z",
            "2026-11-21T24:00:00.000Z",
            "2026-11-21T10:00:60.000Z",
            "9999-12-31T23:59:59.999Z",
        ),
    ]
)
_NUMBERS = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    st.integers(-(10**17), 10**17).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(
        ["0", "-0", "-0.0", "0.1", "1e5", "-1.5E-3", "123456789012345", "0.00000000000001", "9" * 15, "9" * 17]
    ),
)
_NO_NUMBERS = st.sampled_from(
    ["007", "-", ".5", "5.", "1.2.3", "+1", "1,2", "true", "null", '"1"', "1 2", "[1]", "", "1e", "--1"]
)


@st.composite
def bodies(draw: Any, numbers: Any = _NUMBERS, times: Any = _TIMES, names: Any = _NAMES, fewest: int = 2) -> bytes:
    """An array of readings with the same keys in the same order."""
    keys = draw(st.permutations(["device", "time", "metrics"]))[: draw(st.integers(1, 3))]
    keys = keys if "metrics" in keys else [*keys, "metrics"]
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" : ", " , ")]))
    metrics = draw(st.lists(names.filter(bool), min_size=1, max_size=3, unique=True))

    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    def reading() -> str:
        own = metrics if len(metrics) > 1 else [draw(names)]
        parts = {
            "device": lambda: text(draw(names)),
            "time": lambda: text(draw(times)),
            "metrics": lambda: "{" + comma.join(f"{text(name)}{colon}{draw(numbers)}" for name in own) + "}",
        }
        return "{" + comma.join(f'"{key}"{colon}{parts[key]()}' for key in keys) + "}"

    body = "[" + comma.join(reading() for _ in range(draw(st.integers(fewest, 6)))) + "]"
    wrapped = draw(st.booleans())
    return (f'{{"readings"{colon}{body}}}' if wrapped else body).encode() + draw(st.sampled_from([b"", b"\n"]))


@given(bodies())
@settings(max_examples=300, deadline=None)
def test_readings_of_one_shape_are_what_they_are_one_by_one(body: bytes) -> None:
    assert_same_or_left_to_others(body)


@given(
    bodies(
        numbers=st.decimals(-1000, 1000, places=2).map(str), names=st.sampled_from(["pump-7", "pump-8", "Süd", "}, {"])
    )
)
@settings(max_examples=150, deadline=None)
def test_usual_ones_are_decoded_as_a_whole(body: bytes) -> None:
    assert assert_same_or_left_to_others(body)


@given(bodies(numbers=_NUMBERS | _NO_NUMBERS, times=_TIMES | _ODD_TIMES))
@settings(max_examples=300, deadline=None)
def test_what_is_no_number_or_time_is_left_to_others(body: bytes) -> None:
    assert_same_or_left_to_others(body)


_EVEN = bodies(numbers=st.decimals(-1000, 1000, places=2).map(str), names=_EVEN_NAMES)


@pytest.mark.parametrize(
    "text", [".5", "-.5", "5.", "-", ".", "-.", "", "007", "-07", "00.5", "1.2.3", "1e", "+1", "1-1", "1 2"]
)
def test_what_is_no_number_in_all_of_them_is_left_to_others(text: str) -> None:
    reading = f'{{"device":"a","metrics":{{"m":{text}}}}}'
    assert not assert_same_or_left_to_others(f"[{reading},{reading},{reading}]".encode())


@given(bodies(fewest=1) | _EVEN, st.data())
@settings(max_examples=1000, deadline=None)
def test_a_change_anywhere_is_seen(body: bytes, data: st.DataObject) -> None:
    decode_uniform(body, _MOST)  # the shape is known as it was
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(body) - 1))
        put = data.draw(st.sampled_from([b"", *(bytes([character]) for character in b'"\\{}[]:, 019.-eE\n\x00\xff')]))
        body = body[:place] + put + body[place + data.draw(st.integers(0, 2)) :]
    assert_same_or_left_to_others(body)


@given(st.lists(_EVEN, min_size=2, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_shape_is_known_again_among_others(several: list[bytes]) -> None:
    for body in [*several, *several]:
        assert assert_same_or_left_to_others(body)


@pytest.mark.parametrize(
    "instead",
    [
        b'{"device":"b","x":"de","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}',  # as long, two texts more
        b'{"device":"bcdefghij}","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}',  # as long, a brace more
        b'{"device":"bcdefghijk","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5},}',  # and a comma
        b'{"device":"bcdefghijk","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}}',
        b'{"device":"bcdefghijk","time":"2026-11-21T10:00:00.250Z","metrics":{"a":12.5}}',
        b'{"device":"bcdefghij","time":"2026-11-21T10:00:00.250Z","metrics":{"ab":1.5}}',
        b'{"Device":"bcdefghijk","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}',
        b'{ 5"device":"bcdefghijk","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}',
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_differs_among_many_of_a_known_shape(instead: bytes, place: int) -> None:
    usual = b'{"device":"abcdefghij","time":"2026-11-21T10:00:00.250Z","metrics":{"a":1.5}}'
    assert assert_same_or_left_to_others(b"[" + b",".join([usual] * 3) + b"]")
    assert_same_or_left_to_others(b"[" + b",".join([*[usual] * place, instead, *[usual] * (2 - place)]) + b"]")


def test_readings_of_a_known_shape_are_found_by_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'[{"device":"a","metrics":{"m":1.5}},{"device":"b","metrics":{"m":-20.25}}]'
    assert assert_same_or_left_to_others(body)
    monkeypatch.setattr(json_uniform, "_by_quotes", None)
    assert assert_same_or_left_to_others(body.replace(b"1.5", b"123.5"))
    with pytest.raises(TooManyValues):
        decode_uniform(body, 1)


def test_a_known_shape_with_fewer_texts_does_not_count_the_readings_of_another() -> None:
    assert decode_uniform(b'[{"metrics":{"m":1}},{"metrics":{"m":2}}]', 4) is not None
    reading = b'{"device":"a","time":"2026-11-21T10:00:00.250Z","metrics":{"m":1.5}}'
    columns = decode_uniform(b"[" + b",".join([reading] * 4) + b"]", 4)
    assert columns is not None
    assert len(columns) == 4


@given(st.lists(bodies(fewest=1), min_size=2, max_size=3))
@settings(max_examples=150, deadline=None)
def test_readings_of_several_shapes_in_one_body(several: list[bytes]) -> None:
    inner = [body.strip().removeprefix(b"[").removesuffix(b"]") for body in several if body.startswith(b"[")]
    assert_same_or_left_to_others(b"[" + b",".join(inner) + b"]")


_DIGITS = st.integers(-(10**15) + 1, 10**15 - 1)


@given(
    st.lists(st.tuples(_DIGITS, st.integers(0, 14)), min_size=2, max_size=50)
    # As a sensor writes them: all with as many decimals.
    | st.integers(0, 14).flatmap(lambda all_: st.lists(st.tuples(_DIGITS, st.just(all_)), min_size=2, max_size=50))
)
@settings(max_examples=600, deadline=None)
def test_every_decimal_number_is_the_nearest_float(numbers: list[tuple[int, int]]) -> None:
    def text(digits: int, decimals: int) -> str:
        whole, part = divmod(abs(digits), 10**decimals)
        return "-" * (digits < 0) + (f"{whole}.{part:0{decimals}}" if decimals else f"{whole}")

    texts = [text(*number) for number in numbers]
    columns = decode_uniform(b"[" + b",".join(b'{"metrics":{"a":%s}}' % text.encode() for text in texts) + b"]", _MOST)
    assert columns is not None
    assert columns.values.tolist() == [float(text) for text in texts]


def test_a_brace_too_many_after_a_text_is_seen() -> None:
    reading = b'{"metrics":{"x":1},"time":"2026-11-21T10:00:00Z"}'
    assert decode_uniform(b"[" + b",".join([reading] * 3) + b"]", _MOST) is not None
    assert decode_uniform(b"[" + b",".join([reading, reading + b"}", reading]) + b"]", _MOST) is None
    assert decode_uniform(b"[" + b",".join([reading, reading, reading + b"}"]) + b"]", _MOST) is None


@pytest.mark.parametrize("other", [None, 1, 250, 498])
def test_one_time_for_all_of_them_is_told_from_one_that_differs(other: int | None) -> None:
    seconds = [7 if n == other else 5 for n in range(500)]
    readings = [b'{"time":"2026-11-21T10:00:%02dZ","metrics":{"x":%d}}' % (second, second) for second in seconds]
    columns = decode_uniform(b"[" + b",".join(readings) + b"]", _MOST)
    assert columns is not None
    assert ((columns.times - columns.times[0]) / 1e6 + 5).tolist() == columns.values.tolist() == seconds


def test_more_values_than_allowed_are_refused() -> None:
    body = b"[" + b",".join([b'{"device":"a","metrics":{"x":1,"y":2}}'] * 5) + b"]"
    assert decode_uniform(body, 10) is not None
    with pytest.raises(TooManyValues):
        decode_uniform(body, 9)


def test_a_large_usual_body_does_not_become_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.intake.decode.json._items", lambda body: pytest.fail("decoded one by one"))
    readings = [
        {"device": f"pump-{n}", "time": f"2026-11-21T10:{n // 60:02}:{n % 60:02}Z", "metrics": {"t": n / 8, "p": -n}}
        for n in range(200)
    ]
    for separators in (None, (",", ":")):
        assert len(decode_json(json.dumps(readings, separators=separators).encode(), _MOST)) == 400

"""Any CSV file as it comes: delimiters, ends of line, encodings, headers; and one clear line where it is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from telemetry.importing.text_file import UnusableFile
from tests.telemetry.importing.reading_files import NAB, chunks_of, readings_of, rejections_of, written

TWO = [("2026-11-21T10:00:00Z", 21.5), ("2026-11-21T10:05:00Z", 22.0)]


@pytest.mark.parametrize(
    "content",
    [
        "timestamp,value\n2026-11-21 10:00:00,21.5\n2026-11-21 10:05:00,22\n",
        "timestamp,value\r\n2026-11-21 10:00:00,21.5\r\n2026-11-21 10:05:00,22\r\n",
        "timestamp,value\r2026-11-21 10:00:00,21.5\r2026-11-21 10:05:00,22",
        "\n\ntimestamp,value\n\n2026-11-21 10:00:00,21.5\n , \n2026-11-21 10:05:00,22\n\n\n",
        '"timestamp","value"\n"2026-11-21 10:00:00","21.5"\n"2026-11-21 10:05:00","22"\n',
        "Time;value\n2026-11-21 10:00:00;21,5\n2026-11-21 10:05:00;22\n",
        "2026-11-21 10:00:00;21,5\n2026-11-21 10:05:00;22,0\n",
        "ts\tvalue\n2026-11-21T10:00:00Z\t21.5\n2026-11-21T11:05:00+01:00\t22\n",
        "date|value\n2026-11-21 10:00|2.15e1\n2026-11-21 10:05|+22.00\n",
        "2026-11-21 10:00:00,21.5\n2026-11-21 10:05:00,22\n",
        'value,note,time\n21.5,,2026-11-21 10:00:00\n22,"a,b\nc",2026-11-21 10:05:00\n',
        "when,value\n2026-11-21 10:00:00,21.5\n2026-11-21 10:05:00,22\n",
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_two_readings_are_found_however_they_are_written(tmp_path: Path, content: str, mark: str) -> None:
    assert readings_of(written(tmp_path, mark + content)) == {"value": TWO}


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_other_encodings_are_read_too(tmp_path: Path, encoding: str) -> None:
    content = "time;Höhe °C\n2026-11-21 10:00:00;21,5\n2026-11-21 10:05:00;22\n".encode(encoding)
    assert readings_of(written(tmp_path, content)) == {"Höhe °C": TWO}


def test_columns_of_numbers_are_metrics_and_text_and_row_numbers_are_not(tmp_path: Path) -> None:
    content = ",time,temp,state,open,rpm\n0,2026-11-21 10:00:00,21.5,ok,true,\n1,2026-11-21 10:05:00,22,ok,False,900\n"
    readings = readings_of(written(tmp_path, content))
    assert readings == {"temp": TWO, "open": [(TWO[0][0], 1.0), (TWO[1][0], 0.0)], "rpm": [(TWO[1][0], 900.0)]}
    (chunk,) = chunks_of(written(tmp_path, content))
    assert chunk.empty == 1
    assert chunk.columns.metrics == ["temp", "open", "rpm"]
    assert chunk.columns.boolean.tolist() == [False, False, True, True, False]


def test_a_column_called_value_is_the_value(tmp_path: Path) -> None:
    path = written(tmp_path, "time,quality,value\n2026-11-21 10:00:00,1,21.5\n2026-11-21 10:05:00,1,22\n")
    assert readings_of(path) == {"value": TWO}
    assert readings_of(path, metric="temperature") == {"temperature": TWO}
    assert list(readings_of(path, value_column="quality")) == ["quality"]
    assert readings_of(path, value_column="3", time_column="1", metric="t") == {"t": TWO}


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("", {}, "is empty"),
        ("\n \r\n", {}, "is empty"),
        ("time,value\n", {}, "nothing below"),
        (b"\x89PNG\r\n\x1a\n\x00\x00,\x00", {}, "is a binary file"),
        (gzip.compress(b"time,value\n"), {}, "is compressed"),
        (b"PK\x03\x04 a spreadsheet", {}, "save the spreadsheet as CSV"),
        ("only words here\nand here\n", {}, "no columns found"),
        (
            "time,value\n2026-11-21 10:00:00,1\n",
            {"time_column": "when"},
            "there is no column 'when'; the file has time, value",
        ),
        ("time,value\n2026-11-21 10:00:00,1\n", {"value_column": "3"}, "there is no column '3'"),
        ("time,value\n2026-11-21 10:00:00,1\n", {"value_column": "time"}, "is the column of the times"),
        ("name,value\nx,1\ny,2\n", {}, "no column holds times"),
        ("time,name\n2026-11-21 10:00:00,x\n", {}, "no column holds numbers"),
        ("time,ts,value\n2026-11-21,2026-11-22,1\n", {}, "say --time-column"),
        ("date,time,value\n2026-11-21,10:00:00,1\n", {}, "join them into one"),
        ("time,a,b\n2026-11-21,1,2\n", {"metric": "m"}, "say --value-column too"),
        ("time,a,a\n2026-11-21,1,2\n", {}, "several columns are called 'a'"),
        ("time,a,a\n2026-11-21,1,2\n", {"value_column": "a"}, "there are 2 columns 'a'"),
        ("2026-11-21,1,2\n2026-11-22,1,2\n", {}, "no header"),
        ('time,value\n2026-11-21,"1\n' + "2026-11-21,1\n" * 20_000, {}, "quotation mark"),
        ("time,value\n2026-11-21,1" + " " * (1 << 21), {}, "longer than"),
    ],
)
def test_what_cannot_be_imported_is_said_in_one_line(
    tmp_path: Path, content: str | bytes, options: dict[str, str], says: str
) -> None:
    with pytest.raises(UnusableFile) as refusal:
        readings_of(written(tmp_path, content), **options)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file"):
        readings_of(tmp_path / "missing.csv")
    with pytest.raises(UnusableFile, match="is a folder"):
        readings_of(tmp_path)


def test_rejections_name_their_line_and_carry_the_reading_as_it_was_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'time,temp,note\n2026-11-21 10:00:00,21.5,"two\nlines"\n\nnever,22,\n2026-11-21 10:10:00,warm,\n'
        "2026-11-21 10:15:00\n2026-11-21 10:20:00,NaN,\n2026-11-21 10:25:00,1e999,\n",
    )
    rejections = rejections_of(path)
    assert [(r.index, r.field, r.code) for r in rejections] == [
        (5, "time", "invalid_time"),
        (6, "metrics.temp", "invalid_value"),
        (7, "", "malformed"),
        (8, "metrics.temp", "not_finite"),
        (9, "metrics.temp", "not_finite"),
    ]
    assert rejections[1].payload == '{"device": "device", "time": "2026-11-21 10:10:00", "metrics": {"temp": "warm"}}'
    assert "line 6" in rejections[1].detail


def test_a_file_is_read_in_chunks_and_nothing_is_lost_between_them() -> None:
    chunks = chunks_of(NAB / "machine_temperature_system_failure.csv", most=1000)
    assert [len(chunk.columns) for chunk in chunks] == [1000] * 22 + [695]
    values = [value for chunk in chunks for value in chunk.columns.values]
    assert (min(values), max(values)) == (pytest.approx(2.0847, abs=1e-4), pytest.approx(108.5105, abs=1e-4))
    assert chunks[-1].columns.index[-1] == 22_696

"""A file holds what the API answers, whole or not at all."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.exports import pieces, worker
from tests.telemetry.api.conftest import Api
from tests.telemetry.exports.conftest import DAY, HOURLY, PERIOD, body_of, made, make_export

RANGE = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}


def rest_csv(api: Api, route: str, query: str) -> bytes:
    response = api.client.get(f"/api/v1/{route}?{query}", RANGE | _pairs(query), headers={"Accept": "text/csv"})
    assert response.status_code == 200, response.content
    return body_of(response)


def _pairs(query: str) -> dict[str, Any]:
    from django.http import QueryDict

    return dict(QueryDict(query).lists())


@pytest.mark.parametrize(
    "query",
    [
        HOURLY,
        "group=plant&metric=temperature&bucket=1h&functions=avg,p95,count",
        "group=plant&per=device&metric=temperature&bucket=15m&functions=increase,rate,first&fill=null",
        "device=pump-7&device=pump-8&bucket=6h&fill=linear&tz=Asia/Kolkata",
        "device=pump-7&group=plant/hall-2&metric=temperature&bucket=1d&functions=min",
        "device=pump-7&bucket=raw&tz=Europe/Berlin",
    ],
)
def test_csv_is_what_the_api_answers(api: Api, ann: Any, exports_folder: Path, query: str, settings: Any) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, query_max_points=2_000)
    whole = rest_csv(api, "aggregates", query)
    # Cut into many pieces, by lines and by time.
    settings.PLATFORM = replace(settings.PLATFORM, query_max_points=40 if "fill=linear" not in query else 2_000)
    run = made(make_export(ann, query))
    assert (run.state, run.error) == ("done", "")
    file = (exports_folder / run.location).read_bytes()
    assert file.decode() == whole.decode()
    assert run.rows == file.count(b"\r\n") - 1 > 0
    assert (run.bytes, run.sha256) == (len(file), hashlib.sha256(file).hexdigest())


def test_readings_go_page_by_page(ann: Any, api: Api, exports_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(pieces, "_PAGE", 100)
    run = made(make_export(ann, "device=pump-7", route="readings"))
    lines = (exports_folder / run.location).read_text().splitlines()
    assert lines[:2] == ["device,metric,time,value", "pump-7,running,2026-03-01T00:00:00+00:00,false"]
    assert len(lines) == 1 + 24 + 1440 == run.rows + 1


def test_a_file_is_named_by_export_and_period_and_the_api_gives_it(ann: Any, api: Api) -> None:
    export = make_export(ann, name="Hall 1: Täglich!", zone="Europe/Berlin")
    run = made(export)
    assert run.location == f"{export.pk}-hall-1-taglich/2026-03-01_2026-03-02_{run.pk}.csv"
    response = api.client.get(f"/api/v1/exports/{export.pk}/runs/{run.pk}/file")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert f'filename="2026-03-01_2026-03-02_{run.pk}.csv"' in response.headers["Content-Disposition"]
    assert len(body_of(response)) == run.bytes


def test_parquet_has_typed_columns_and_the_same_values(ann: Any, api: Api, exports_folder: Path) -> None:
    run = made(make_export(ann, HOURLY + "&functions=stddev&fill=null", format="parquet"))
    table = pq.read_table(exports_folder / run.location)
    text = pa.dictionary(pa.int32(), pa.string())
    assert table.schema.names == ["device", "metric", "time", "avg", "max", "stddev", "count"]
    assert table.schema.types == [text, text, pa.timestamp("us", tz="UTC"), *[pa.float64()] * 3, pa.int64()]
    answer = api.get("aggregates", device=["pump-7", "pump-8"], metric="temperature", bucket="1h", fill="null",
                     functions="avg,max,stddev", **RANGE)  # fmt: skip
    rows = [row | {"time": row["time"].isoformat().replace("+00:00", "Z")} for row in table.to_pylist()]
    assert rows == answer.body["results"]
    assert table.schema.metadata[b"start"] == b"2026-03-01T00:00:00+00:00"


def test_parquet_of_readings_comes_in_row_groups(ann: Any, exports_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("telemetry.exports.files._GROUP", 500)
    monkeypatch.setattr(pieces, "_PAGE", 200)
    run = made(make_export(ann, "device=pump-7&bucket=raw", format="parquet"))
    file = pq.ParquetFile(exports_folder / run.location)
    assert file.metadata.num_rows == run.rows == 1464
    assert file.metadata.num_row_groups == 3
    assert file.read().column("value").to_pylist()[:3] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_period_without_readings_is_an_empty_file_with_its_columns(
    ann: Any, exports_folder: Path, format: str
) -> None:
    run = made(make_export(ann, format=format), (DAY - timedelta(days=9), DAY - timedelta(days=8)))
    assert (run.state, run.rows) == ("done", 0)
    path = exports_folder / run.location
    names = path.read_text().strip().split(",") if format == "csv" else pq.read_table(path).schema.names
    assert names == ["device", "metric", "time", "avg", "max", "count"]


def test_a_folder_that_cannot_be_written_to_fails_in_words_and_works_later(
    ann: Any, exports_folder: Path, later: Any
) -> None:
    exports_folder.write_text("a file where the folder should be")
    export = make_export(ann)
    run = made(export)
    assert run.state == "failed"
    assert run.error == f"The folder {exports_folder} cannot be written to: Not a directory."
    exports_folder.unlink()
    later()
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.attempts, run.error) == ("done", 2, "")


def test_more_rows_than_a_file_may_have_are_refused_and_nothing_is_left(
    ann: Any, exports_folder: Path, settings: Any
) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, export_max_rows=1000)
    run = made(make_export(ann, "device=pump-7&bucket=raw"))
    assert run.state == "given_up"
    assert "more than 1,000 rows: ask with a wider bucket" in run.error
    assert [path for path in exports_folder.rglob("*") if path.is_file()] == []


def test_a_file_that_was_taken_away_is_told(ann: Any, api: Api, exports_folder: Path) -> None:
    run = made(make_export(ann))
    (exports_folder / run.location).unlink()
    answer = api.get(f"exports/{run.export_id}/runs/{run.pk}/file")
    assert answer.status == 404
    assert "Run the period again" in answer.body["detail"]


def test_late_readings_come_with_a_second_run(ann: Any, exports_folder: Path, plant: Any) -> None:
    from telemetry.timeseries.engine import as_microseconds
    from tests.telemetry.query.rolled import Inside, put

    export = make_export(ann)
    first = made(export)
    put(Inside(), [(plant["pump-7"].pk, as_microseconds(DAY) + 7, 999.0)])
    second = made(export)
    assert "999.0" not in (exports_folder / first.location).read_text()
    assert "999.0" in (exports_folder / second.location).read_text()
    assert first.period_start == second.period_start == PERIOD[0]

"""Figures go from result files to their places in the documents, and nothing else of a page changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import pages
from benchmarks.report import Result, write
from iotplatform.env import BASE_DIR
from tests.benchmarks.test_sizing import cost

MACHINE = {"date": "2026-01-02", "commit": "abc1234", "cores": 2, "cpu": "x", "memory_gib": 8}
PAGE = "before\n\n<!-- figures of {} -->\n\nold\n\n<!-- end of figures -->\n\nafter\n"


def layout(web: int, workers: int, shards: int, share: float) -> dict[str, object]:
    rates = {"r0": 400_000, "intake": 90_000, "drain": 300_000, "whole_way": 200_000, "single": 4_000}
    return {
        "web": web,
        "workers": workers,
        "shards": shards,
        "per_second": rates,
        "share_of_r0": {"whole_way": share},
    }


def test_a_table_takes_the_place_of_the_old_one() -> None:
    assert pages.put(PAGE.format("CURVE"), "CURVE", "new") == PAGE.format("CURVE").replace("old", "new")


def test_a_page_without_the_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 places for the figures of CURVE"):
        pages.put(PAGE.format("SCALE"), "CURVE", "new")


def test_every_page_has_one_place_for_each_of_its_figures() -> None:
    for name, page in pages.PAGES.items():
        pages.put((BASE_DIR / "docs" / page).read_text(), name, "new")


def test_only_what_was_measured_is_written(tmp_path: Path) -> None:
    layouts = [layout(1, 1, 1, 0.2), layout(4, 4, 16, 0.3)]
    found = [Result("SCALE", "", 1.5, None, 1.0, "", {"layouts": layouts}), Result("P1", "", 1.0, None, 1.0, "")]
    write(tmp_path / "bench.json", found, MACHINE, "partitions: PostgreSQL 18.6")
    said = pages.tables(tmp_path)
    assert list(said) == ["SCALE"]
    assert said["SCALE"].startswith("Measured 2026-01-02 at commit `abc1234` on 2 cores (x), 8 GiB, PostgreSQL 18.6;")
    assert said["SCALE"].splitlines()[-1] == "| 4 / 4 / 16 | 90,000 | 300,000 | 200,000 | 0.30 | 1.50 | 4,000 |"


def test_costs_make_the_sizing(tmp_path: Path) -> None:
    detail = cost()
    detail["reading_by_size"]["5"]["readings_per_second"] = 9_000
    write(tmp_path / "bench.json", [Result("COST", "", 1.0, None, 1.0, "", detail)], MACHINE, "partitions: x")
    said = pages.tables(tmp_path)
    assert list(said) == ["COST", "DEVICE", "SIZING"]
    assert "| 5 | 600.0 | 120.0 | 0.0 | 60.0 | 12.0 | 792.0 | 30 | 100 | 9,000 |" in said["COST"]
    assert "| readings a second | 833 | 8,333 | 83,333 |" in said["SIZING"]


def test_a_failed_measurement_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "bench.json", [Result("SCALE", "", None, None, None, "")], MACHINE, "x")
    assert pages.main(tmp_path, tmp_path) == 1


def test_the_curve_has_a_line_for_each_size(tmp_path: Path) -> None:
    names = ("requests", "accepted", "stored", "full_p50", "full_p99", "half_p50", "half_p99")
    points = [{"size": size, **dict.fromkeys(names, 1_234.5)} for size in (1, 10_000)]
    (tmp_path / "load-curve.json").write_text(
        json.dumps({"machine": MACHINE, "engine": "partitions: PostgreSQL 18.6", "points": points})
    )
    said = pages.tables(tmp_path)["CURVE"]
    assert len(said.splitlines()) == 2 + 2 + 2
    assert said.splitlines()[-1].startswith("| 10,000 | 1,234 | 1,234 | 1,234 | 1,234.5 |")

"""`python -m benchmarks.pages`: writes the tables of docs/load.md and docs/scaling.md from the result files in RUN_DIR.

A table stands between `<!-- figures of NAME -->` and `<!-- end of figures -->`. What no result file has stays as it is.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import sizing
from benchmarks.traffic import curve
from iotplatform.env import BASE_DIR, config

__all__ = ["main", "put", "tables"]

#: Name of the figures → the page they stand on.
PAGES = {
    "CURVE": "load.md",
    "SCALE": "scaling.md",
    "COST": "scaling.md",
    "DEVICE": "scaling.md",
    "SIZING": "scaling.md",
}


def main(run_dir: Path = config.run_dir, docs: Path = BASE_DIR / "docs") -> int:
    """Exit code 1 where there is no result file at all."""
    found = tables(run_dir)
    for name, text in found.items():
        page = docs / PAGES[name]
        page.write_text(put(page.read_text(), name, text))
        print(f"{page.name}: the figures of {name}")
    if not found:
        print(f"no results in {run_dir}: make load CURVE=1, make bench ONLY=SCALE,COST")
    return int(not found)


def tables(run_dir: Path) -> dict[str, str]:
    """Name → Markdown, of all that RUN_DIR has results of."""
    said: dict[str, str] = {}
    path = run_dir / curve.CURVE_FILE
    if path.exists():
        found = json.loads(path.read_text())
        said["CURVE"] = f"{_where(found)}\n\n{_markdown(curve.table(found['points']))}"
    path = run_dir / "bench.json"
    if path.exists():
        found = json.loads(path.read_text())
        details = {result["id"]: result["detail"] for result in found["results"] if result["value"] is not None}
        for name, (result, rows) in _TABLES.items():
            if result in details:
                said[name] = f"{_where(found)}\n\n{_markdown(rows(details[result]))}"
    return said


def put(page: str, name: str, text: str) -> str:
    """The page with these figures. Raises ValueError where it has no place for them."""
    pattern = re.compile(rf"(<!-- figures of {name} -->\n).*?(<!-- end of figures -->)", re.DOTALL)
    filled, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"the page has {count} places for the figures of {name}")
    return filled


def _where(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return (
        f"Measured {machine['date']} at commit `{machine['commit']}` on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, {found['engine'].partition(': ')[2]}; load generator on the same machine."
    )


def _markdown(rows: list[list[str]]) -> str:
    heads, *body = rows
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _scale(detail: dict[str, Any]) -> list[list[str]]:
    first = detail["layouts"][0]["share_of_r0"]["whole_way"]
    rows = [["web / workers / shards", "taken in/s", "drained/s", "whole way/s", "÷ R0", "÷ first", "single/s"]]
    for each in detail["layouts"]:
        rate, share = each["per_second"], each["share_of_r0"]["whole_way"]
        rows.append(
            [
                f"{each['web']} / {each['workers']} / {each['shards']}",
                *(f"{rate[name]:,}" for name in ("intake", "drain", "whole_way")),
                f"{share:.2f}",
                f"{share / first:.2f}",
                f"{rate['single']:,}",
            ]
        )
    return rows


def _cost(detail: dict[str, Any]) -> list[list[str]]:
    kinds = ("web", "drain", "worker", "postgres", "log")
    rows = [["readings a POST", *kinds, "all", "bytes of log", "bytes of WAL", "readings/s"]]
    for readings, run in detail["reading_by_size"].items():
        spent = run["cpu_ms_per_1000"]
        rows.append(
            [
                f"{int(readings):,}",
                *(f"{spent.get(kind, 0):.1f}" for kind in kinds),
                f"{sum(spent.values()):.1f}",
                *(f"{run['bytes_per_reading'][name]:.0f}" for name in ("log_file", "wal")),
                f"{run['readings_per_second']:,}",
            ]
        )
    return rows


def _device(detail: dict[str, Any]) -> list[list[str]]:
    """What else was measured, a line each."""
    device, disk = detail["device"], detail["disk"]
    held = {
        f"memory of {kind} processes, each": f"{size:,} B a device" for kind, size in device["process_bytes"].items()
    }
    rows = disk["bytes_per_row"]
    said = {
        "rows in the database: device, key, series, last seen, state of thresholds": f"{device['database_bytes']:,} B a device",
        "last seen in the log server's memory": f"{device['last_seen_bytes']} B a device",
        **held,
        "a waiting reading in the log server's memory": f"{detail['waiting_bytes_per_reading']} B",
        "a raw reading on disk, with its index": f"{rows['raw']} B",
        "a row of rollups on disk: minute, hour, day": " B, ".join(
            str(rows[each]) for each in ("minute", "hour", "day")
        )
        + " B",
        "making rollups, worker and PostgreSQL": " + ".join(
            f"{milliseconds} ms" for milliseconds in disk["rollup_cpu_ms_per_1000"].values()
        )
        + " for 1,000 readings",
        "all processes while nobody sends": f"{sum(detail['idle_cores'].values()):.2f} cores",
    }
    if "compressed_bytes_per_row" in disk:
        said["a raw reading compressed by TimescaleDB"] = f"{disk['compressed_bytes_per_row']['raw']} B"
    return [["what", "costs"], *([name, text] for name, text in said.items())]


def _sizing(detail: dict[str, Any]) -> list[list[str]]:
    return sizing.table([sizing.size(detail, devices) for devices in sizing.FLEETS])


_TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], list[list[str]]]]] = {
    "SCALE": ("SCALE", _scale),
    "COST": ("COST", _cost),
    "DEVICE": ("COST", _device),
    "SIZING": ("COST", _sizing),
}

if __name__ == "__main__":
    sys.exit(main())

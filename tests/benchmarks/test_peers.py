"""The peers of measurement V get the readings that the platform gets, and are believed only what they can show."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks import bodies, lines
from benchmarks.baselines.peers import PEERS, Peer, is_installed, running
from benchmarks.fleet import Fleet
from benchmarks.load import sender
from benchmarks.load.requests import build
from benchmarks.machine.processes import ProcessGroup
from tests.benchmarks.test_bodies import values_of

SMALL = Fleet("unit", devices=20)
CONNECTIONS = 2

# They are servers of the machine, no Python packages; `make bench` says which one is missing.
INSTALLED = [peer for peer in PEERS if is_installed(peer)]

Reading = tuple[str, str, int, float]


def readings_of(body: bytes) -> list[Reading]:
    """(device, metric, ms since 1970, value) of every value in a body of lines."""
    found = []
    for line in body.decode().splitlines():
        name, fields, moment = line.split(" ")
        measurement, device = name.split(",device=")
        for field in fields.split(","):
            metric, value = field.split("=")
            found.append((device, measurement if metric == "value" else metric, int(moment), float(value)))
    return found


def readings_of_ours(body: bytes) -> list[Reading]:
    parsed = json.loads(body)
    values = [
        value
        for item in (parsed if isinstance(parsed, list) else [parsed])
        for each in item["metrics"].values()
        for value in (each if isinstance(each, list) else [each])
    ]
    named = [
        (device, metric, round(datetime.fromisoformat(moment).timestamp() * 1000))
        for device, metric, moment in values_of(parsed)
    ]
    return [(*name, value) for name, value in zip(named, values, strict=True)]


@pytest.mark.parametrize(("ours", "theirs"), [(bodies.one_metric, lines.one_field), (bodies.compact, lines.all_fields)])
def test_the_lines_are_the_same_readings_request_by_request(ours: bodies.Form, theirs: bodies.Form) -> None:
    for connection in range(CONNECTIONS):
        share = bodies.Share(SMALL, connection, CONNECTIONS, 100, 30, 1_700_000_000_250)
        pairs = list(zip(ours(share), theirs(share), strict=True))
        assert len(pairs) == share.posts
        for body, said in pairs:
            assert sorted(readings_of(said)) == sorted(readings_of_ours(body))


@pytest.mark.parametrize("peer", INSTALLED, ids=lambda peer: peer.package)
@pytest.mark.parametrize("form", [lines.one_field, lines.all_fields])
def test_a_peer_is_asked_for_what_it_has(peer: Peer, form: bodies.Form, tmp_path: Path) -> None:
    share = bodies.Share(SMALL, 0, CONNECTIONS, 100, 10, int(time.time() * 1000) - 3_600_000)
    load = build(tmp_path / "load", form, share, "nobody", lines.WRITE_PATH, taken=204)
    directory = tmp_path / "peer"
    with running(peer, ProcessGroup(os.environ, tmp_path), directory) as started:
        assert started.stored() == 0
        assert sender.send(load, started.port).sent.statuses == {204: load.posts}
        started.flush()
        assert started.stored() == load.readings
    assert not directory.exists()

"""Faults before and between web servers, a few rounds of each; `make soak` has all of them. What must hold: docs/faults.md."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.behind_proxy import Edge, platform_behind_proxy, rolling_restart
from tests.faults.slow_clients import slow_clients
from tests.journeys.test_faults_under_load import assert_right

pytestmark = pytest.mark.slow
_SEED = 20_261_121


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with (
        tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp") as folder,
        platform_behind_proxy(Path(folder) / "a") as made,
    ):
        yield made


def test_slow_clients_and_thousands_of_idle_ones_harm_nobody(edge: Edge) -> None:
    assert_right(slow_clients(edge, 10, _SEED))


def test_web_servers_and_workers_are_made_anew_in_turn_and_no_request_fails(edge: Edge) -> None:
    assert_right(rolling_restart(edge, 1, _SEED))

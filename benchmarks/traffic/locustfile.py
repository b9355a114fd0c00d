"""The users of the run, for Locust: `python -m benchmarks.traffic` makes the plan they need and starts it.

TRAFFIC_PLAN is the plan's file, TRAFFIC_SECONDS how long they send, TRAFFIC_LEDGER the file that the ledger is written
to at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from locust import events
from locust.env import Environment

from benchmarks.traffic.bad import BadSender
from benchmarks.traffic.dashboard import DashboardUser
from benchmarks.traffic.ledger import Timing
from benchmarks.traffic.plan import Plan
from benchmarks.traffic.senders import BatchSender, BurstSender, GatewaySender, RetrySender, SingleSender
from benchmarks.traffic.sending import LEDGER, TrafficUser

__all__ = [
    "BadSender",
    "BatchSender",
    "BurstSender",
    "DashboardUser",
    "GatewaySender",
    "RetrySender",
    "SingleSender",
]


def _deal(kinds: Iterable[type[TrafficUser]]) -> None:
    """As many users of each kind as the plan has; a kind without any takes no part."""
    TrafficUser.plan = Plan.read(Path(os.environ["TRAFFIC_PLAN"]))
    for kind in kinds:
        kind.fixed_count = len(TrafficUser.plan.members.get(kind.kind, ()))
        kind.abstract = not kind.fixed_count


_deal((SingleSender, BatchSender, GatewaySender, RetrySender, BurstSender, BadSender, DashboardUser))


@events.test_start.add_listener
def _start(**_: Any) -> None:
    TrafficUser.until = time.monotonic() + float(os.environ["TRAFFIC_SECONDS"])


@events.user_error.add_listener
def _broke(user_instance: Any, exception: BaseException, **_: Any) -> None:
    LEDGER.broke(f"a user of kind {user_instance.kind} failed: {exception!r}")


@events.quitting.add_listener
def _write(environment: Environment, **_: Any) -> None:
    LEDGER.timings = [
        Timing(
            entry.name,
            entry.num_requests,
            entry.num_failures,
            *(entry.get_response_time_percentile(share) or 0.0 for share in (0.5, 0.95, 0.99)),
            entry.max_response_time,
        )
        for entry in sorted(environment.stats.entries.values(), key=lambda entry: entry.name)
    ]
    LEDGER.write(Path(os.environ["TRAFFIC_LEDGER"]))

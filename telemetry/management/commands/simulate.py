"""`manage.py simulate`: a fleet of devices that send to the platform's own HTTP API, as real ones do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections

from telemetry.simulator.courier import Courier, Tally, parts
from telemetry.simulator.fleet import SimulatedDevice, fleet, stations
from telemetry.simulator.link import Link
from telemetry.simulator.register import FleetKeyring

platform = settings.PLATFORM
_REPORT_SECONDS = 30
_MOST_CONNECTIONS = 4
_STOPS = {signal.SIGTERM, signal.SIGINT}

Number = TypeVar("Number", int, float)


class Command(BaseCommand):
    help = "Run a simulated fleet that sends readings over HTTP until it is stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--devices", type=_at_least(int, 1), default=platform.simulator_devices, help="default: %(default)s"
        )
        parser.add_argument(
            "--rate",
            type=_at_least(float, 0.001),
            default=platform.simulator_rate,
            help="values per second over the whole fleet, default: %(default)s",
        )
        parser.add_argument("--seed", type=int, default=1, help="same seed, same values; default: %(default)s")
        parser.add_argument("--url", default=_local_url(), help="where the platform listens, default: %(default)s")
        parser.add_argument(
            "--connections", type=int, choices=range(1, _MOST_CONNECTIONS + 1), default=None, help="default: by size"
        )
        parser.add_argument("--once", action="store_true", help="send one measurement of each device and end")

    def handle(self, **options: Any) -> None:
        devices = fleet(options["devices"], options["rate"], options["seed"])
        keyring = self._keyring(devices)
        stop = threading.Event()
        shares = list(parts(stations(devices), options["connections"] or _connections(options["rate"])))
        links = [Link(options["url"]) for _ in shares]
        couriers = [
            Courier(share, link, keyring, _now_us, stop.wait) for share, link in zip(shares, links, strict=True)
        ]
        if options["once"]:
            sys.exit(0 if self._send_once(couriers) else 1)
        self._say(f"{len(devices)} devices send about {options['rate']:g} values/s to {options['url']}")
        # Blocked in every thread and taken up in `_report` alone: no handler runs in the middle of anything.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        threads = [threading.Thread(target=courier.run, daemon=True) for courier in couriers]
        for thread in threads:
            thread.start()
        self._report_until_stopped(couriers)
        stop.set()
        for link in links:
            link.cut()
        deadline = time.monotonic() + 0.5
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._say(f"stopped; {sum(courier.waiting() for courier in couriers)} measurements were not sent")
        # Python's own end takes most of a second on a busy machine, and there is nothing left to put in order.
        os._exit(0)

    def _keyring(self, devices: list[SimulatedDevice]) -> FleetKeyring:
        """Registers the fleet; waits for a database that is not there, or not migrated, yet."""
        said = ""
        while True:
            try:
                return FleetKeyring(devices, platform.run_dir / "simulator-key", self._say)
            except DatabaseError as error:
                if str(error) != said:
                    said = str(error)
                    self._say(f"waiting for the database: {said.strip()}")
            close_old_connections()
            time.sleep(1)

    def _send_once(self, couriers: list[Courier]) -> bool:
        complete = [courier.send_once() for courier in couriers]  # all of them, whatever the first one says
        self._say(_line(_total(couriers), Tally(), couriers, waiting=False))
        return all(complete)

    def _report_until_stopped(self, couriers: list[Courier]) -> None:
        before = Tally()
        while signal.sigtimedwait(_STOPS, _REPORT_SECONDS) is None:
            total = _total(couriers)
            self._say(_line(total, before, couriers))
            before = total

    def _say(self, text: str) -> None:
        self.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}")
        self.stdout.flush()


def _now_us() -> int:
    return time.time_ns() // 1000


def _total(couriers: list[Courier]) -> Tally:
    total = Tally()
    for tally in (courier.tally for courier in couriers):
        total.requests += tally.requests
        total.accepted += tally.accepted
        total.rejected += tally.rejected
        total.dropped += tally.dropped
        total.trouble = total.trouble or tally.trouble
        for code, count in list(tally.codes.items()):
            total.codes[code] = total.codes.get(code, 0) + count
    return total


def _line(total: Tally, before: Tally, couriers: list[Courier], *, waiting: bool = True) -> str:
    text = f"{total.accepted - before.accepted:,} values accepted, {total.rejected - before.rejected:,} rejected"
    codes = {code: count - before.codes.get(code, 0) for code, count in total.codes.items()}
    named = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()) if count)
    text += f" ({named})" if named else ""
    text += f", {total.requests - before.requests:,} requests"
    if waiting:
        text += (
            f"; measurements waiting: {sum(courier.waiting() for courier in couriers):,}, dropped: {total.dropped:,}"
        )
    return f"{text}; {total.trouble}" if total.trouble else text


def _connections(rate: float) -> int:
    return min(_MOST_CONNECTIONS, 1 + int(rate // 500))


def _local_url() -> str:
    """Where this machine reaches a server bound to HOST and PORT."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(platform.host, platform.host)  # noqa: S104  # nosec B104
    return f"http://{host}:{platform.port}"


def _at_least(kind: type[Number], low: Number) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError as error:
            raise ArgumentTypeError(f"{text!r} is not a number") from error
        if not low <= value < float("inf"):
            raise ArgumentTypeError(f"{text} is less than {low}")
        return value

    return parse

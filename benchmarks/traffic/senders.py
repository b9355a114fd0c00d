"""Devices and gateways that send what is right: one by one, in batches, for many, again, and late."""

from __future__ import annotations

import itertools
import random
import secrets
import time

from locust import between, task

from benchmarks.traffic.sending import LEDGER, Packet, Sender

__all__ = ["BatchSender", "BurstSender", "GatewaySender", "RetrySender", "SingleSender"]

_BATCH = (20, 200)
_BURST = 500
#: A device that was cut off: its buffer begins so long ago, and goes on at 1 Hz.
_CUT_OFF_SECONDS = 7 * 86_400


class SingleSender(Sender):
    """A device that sends every reading as it is measured."""

    kind = "single"
    wait_time = between(0.2, 1.0)

    @task
    def reading(self) -> None:
        self.deliver("single", self.packet({self.member.devices[0]: 1}))


class BatchSender(Sender):
    """A device that gathers readings before it sends them."""

    kind = "batch"
    wait_time = between(0.5, 2.0)

    @task
    def batch(self) -> None:
        self.deliver("batch", self.packet({self.member.devices[0]: random.randint(*_BATCH)}))


class GatewaySender(Sender):
    """A gateway that sends for its devices, with a key for their group."""

    kind = "gateway"
    wait_time = between(0.5, 2.0)

    @task
    def round(self) -> None:
        self.deliver("gateway", self.packet({device: random.randint(1, 5) for device in self.member.devices}))


class RetrySender(Sender):
    """A device behind a bad line: it sends the same again, as if it had not heard the answer."""

    kind = "retry"
    wait_time = between(0.3, 1.0)

    def on_start(self) -> None:
        super().on_start()
        self._before: list[Packet] = []
        self._next = itertools.cycle((self.with_idempotency_key, self.without, self.much_later))

    @task
    def repeat(self) -> None:
        next(self._next)()

    def with_idempotency_key(self) -> None:
        packet, key = self.packet({self.member.devices[0]: 5}), secrets.token_hex(8)
        first = self.deliver("retry, first", packet, key)
        again = self._again("retry, same key", packet, key)
        if first and again and first != again:
            LEDGER.broke("retry, same key: another receipt than the first")

    def without(self) -> None:
        packet = self.packet({self.member.devices[0]: 5})
        self.deliver("retry, first", packet)
        self._again("retry, no key", packet)
        self._before = [*self._before[-9:], packet]

    def much_later(self) -> None:
        if self._before:
            self._again("retry, no key", random.choice(self._before))

    def _again(self, name: str, packet: Packet, key: str = "") -> str:
        LEDGER.repeats += 1
        return self.deliver(name, packet, key)


class BurstSender(Sender):
    """A device that was cut off for days, and sends its buffer, oldest first."""

    kind = "burst"
    wait_time = between(1.0, 3.0)

    def on_start(self) -> None:
        super().on_start()
        self._next = (int(time.time()) - _CUT_OFF_SECONDS) * 1000

    @task
    def buffer(self) -> None:
        times = list(range(self._next, self._next + _BURST * 1000, 1000))
        self._next = times[-1] + 1000
        self.deliver("late burst", self.pack({self.member.devices[0]: times}))

"""Messages that kill who works on them: a log entry, every time it is decoded, and rubbish in the queue of tasks."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotplatform.env import BASE_DIR
from telemetry.log import keys
from tests.faults.load import Load, Outcome
from tests.faults.quarantined import remove_poison
from tests.faults.rubbish import rubbish
from tests.live import LivePlatform

__all__ = ["deadly_entries", "platform_that_dies", "rubbish_tasks"]

_HOOK = Path(__file__).parent / "deadly_hook"
_DEADLY = 6.66e66
_SECONDS = 120.0
#: What beat and drains have just asked for may wait.
_MOST_LEFT = 10
_POISON = "SELECT raw FROM telemetry_quarantinedreading WHERE code = 'poison'"


@contextmanager
def platform_that_dies(run_dir: Path) -> Iterator[LivePlatform]:
    """Its drain workers are killed by entries with the deadly value."""
    with LivePlatform(run_dir, PYTHONPATH=f"{_HOOK}:{BASE_DIR}") as platform:
        yield platform


def deadly_entries(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """After its tries the entry is set aside with its bytes, and everything around it is stored."""
    deaths = 0
    most = 2 * platform.config.drain_attempts
    with Load(platform, seed) as load:
        for number in range(rounds):
            device = f"deadly-{seed}-{number}-{time.time_ns()}"
            key = platform.provision(device)
            load.wait_for_accepted(20)
            sent = platform.post({"metrics": {"harmless": 1.0, "deadly": _DEADLY}}, key)
            assert sent.status == 202, sent
            died = _restart_until_set_aside(platform)
            if not 1 <= died <= most:
                load.ledger.broken(f"drain workers died {died} times of one entry, not 1 to {most}")
            deaths += died
            receipt = platform.get(f"/api/v1/receipts/{sent.json()['receipt']}", key).json()
            if (receipt["state"], receipt["quarantined"]) != ("stored", 2):
                load.ledger.broken(f"the receipt of what was set aside says {receipt}")
            _clear(platform, load)
        load.wait_for_accepted(40)
        outcome = load.finish()
    outcome.notes.append(f"drain workers died {deaths} times of {rounds} entries")
    return outcome


def rubbish_tasks(platform: LivePlatform, rounds: int, seed: int) -> Outcome:
    """Messages in every queue that are no tasks, or wrong ones: no worker ends by them, and all queues go on."""
    names = ("drain1", "drain2", "worker")
    queues = ["default", *(f"drain-{shard}" for shard in range(platform.config.shards))]
    sent = 0
    with Load(platform, seed) as load, platform.redis() as client:
        workers = {name: platform.family(name)[0].pid for name in names}
        for _ in range(rounds):
            load.wait_for_accepted(20)
            for queue in queues:
                for message in rubbish("iotplatform.tasks.beat_heart", "iotplatform.tasks.drain"):
                    client.lpush(f"celery:{queue}", message)
                    sent += 1
            client.delete(*(keys.worker(name) for name in names))
            for name in names:
                _wait_for_sign_of_life(platform, load, name)
        load.wait_for_accepted(40)
        for name, pid in workers.items():
            if name in platform.died or platform.family(name)[0].pid != pid:
                load.ledger.broken(f"{name} ended: {platform.log(name)[-600:]}")
        left = {queue: length for queue in queues if (length := client.llen(f"celery:{queue}")) > _MOST_LEFT}
        if left:
            load.ledger.broken(f"still in queues: {left}")
        outcome = load.finish()
    outcome.notes.append(f"{sent} messages that are no right tasks")
    return outcome


def _wait_for_sign_of_life(platform: LivePlatform, load: Load, name: str) -> None:
    with platform.redis() as client:
        try:
            platform.wait_until(lambda: client.exists(keys.worker(name)), 30, f"{name} works")
        except AssertionError as error:
            load.ledger.broken(f"{error}; died: {platform.died}")


def _restart_until_set_aside(platform: LivePlatform) -> int:
    """As the launcher does: whoever died is started again. How often that was."""
    deaths = 0

    def is_set_aside() -> bool:
        nonlocal deaths
        for name in platform.died:
            deaths += 1
            platform.restart(name)
        with platform.database() as connection:
            return bool(connection.execute(_POISON).fetchall())

    platform.wait_until(is_set_aside, _SECONDS, "the deadly entry set aside")
    return deaths


def _clear(platform: LivePlatform, load: Load) -> None:
    with platform.database() as connection:
        found = [bytes(row[0]) for row in connection.execute(_POISON)]
    if len(found) != 1 or _deadly_bytes() not in found[0]:
        load.ledger.broken(f"set aside: {len(found)} entries, or not with their bytes")
    remove_poison(platform, found)


def _deadly_bytes() -> bytes:
    return struct.pack("<d", _DEADLY)

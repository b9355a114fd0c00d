"""Sends what a sensor measures, and keeps it while the platform cannot be reached. Python 3.9 or newer, nothing to install.

KEY=iot_… python3 send.py https://iot.example.org pump-7
"""

import collections
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
import uuid

BATCH = 500  # readings in one request
KEPT = 100_000  # readings kept while offline; then the oldest go
LONGEST_PAUSE = 60.0  # seconds
AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Sender:
    """A buffer and one request at a time, so that readings keep their order."""

    def __init__(self, address, key):
        self.address, self.key = address, key
        self.waiting = collections.deque(maxlen=KEPT)
        self.batch, self.batch_key = [], ""
        self.failures, self.not_before = 0, 0.0

    def measured(self, device, metrics):
        """Stamped when it is measured, not when it is sent."""
        self.waiting.append({"device": device, "time": time.time(), "metrics": metrics})

    def send(self):
        """Send one batch if it is time to; how many readings still wait. Call it as often as you like."""
        if not self.batch and self.waiting:
            self.batch = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            self.batch_key = str(uuid.uuid4())  # the same for every attempt at this batch
        if self.batch and time.monotonic() >= self.not_before:
            self._attempt()
        return len(self.batch) + len(self.waiting)

    def _attempt(self):
        request = urllib.request.Request(
            self.address + "/api/v1/readings",
            json.dumps({"readings": self.batch}).encode(),
            {
                "Authorization": "Bearer " + self.key,
                "Content-Type": "application/json",
                "Idempotency-Key": self.batch_key,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:  # the operator's address  # nosec B310
                self._taken(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code in AGAIN:
                self._later(error.headers.get("Retry-After"))
            else:  # 400, 401, 403, 413: sending the same again is of no use
                print("refused:", error.code, error.read().decode(), file=sys.stderr)
                self.batch = []
        except OSError:  # no connection, or no answer in time
            self._later(None)

    def _taken(self, answer):
        for error in answer["errors"]:
            print("refused:", error["code"], error["detail"], file=sys.stderr)
        self.batch, self.failures = [], 0

    def _later(self, retry_after):
        """What the server says; else longer and longer, and never all devices at the same moment."""
        self.failures += 1
        pause = min(LONGEST_PAUSE, 2.0 ** min(self.failures, 10))
        pause = random.uniform(pause / 2, pause)
        if retry_after and retry_after.isdigit():
            pause = max(pause, float(retry_after))
        self.not_before = time.monotonic() + pause


def main():
    sender = Sender(sys.argv[1].rstrip("/"), os.environ["KEY"])
    for line in sys.stdin:  # a sensor: one temperature a line
        sender.measured(sys.argv[2], {"temperature": float(line)})
        sender.send()
    while waiting := sender.send():
        print(waiting, "readings wait", file=sys.stderr)
        time.sleep(0.5)


if __name__ == "__main__":
    main()

"""Health check of a container: `python deploy/health.py web|worker|beat`; exit code 0 if it is well."""

from __future__ import annotations

import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from iotplatform.env import config

_SECONDS = 3
#: Beat touches its file every ten seconds, but not while it waits for the broker; to start it anew would not help then.
_BEAT_SECONDS = 600


def web() -> str:
    """Not ready for intake is unhealthy: there is nothing else that this process could do then."""
    url = f"http://127.0.0.1:{config.port}/readyz?for=intake"
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # our own address  # nosec B310
        return "" if answer.status == 200 else f"HTTP {answer.status}"


def worker() -> str:
    """A worker that works renews its sign of life in the log server; the sign goes by itself after 15 s."""
    import redis

    from telemetry.log import keys

    client = redis.Redis.from_url(
        config.server_urls()["redis_url"], socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS
    )
    with client:
        return "" if client.exists(keys.worker(config.process_name)) else "no sign of life for 15 s"


def beat() -> str:
    """The file of the schedule is touched again and again while beat lives."""
    written = [path.stat().st_mtime for path in config.run_dir.glob("beat-schedule*")]
    age = time.time() - max(written, default=0)
    return "" if age < _BEAT_SECONDS else f"the schedule was touched {age:.0f} s ago"


def main() -> int:
    checks = {"web": web, "worker": worker, "beat": beat}
    try:
        trouble = checks[sys.argv[1]]()
    except (KeyError, IndexError):
        trouble = f"say one of {', '.join(checks)}"
    except Exception as error:  # whatever it is, the container is not well, and this is why
        trouble = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{trouble or 'well'}\n")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())

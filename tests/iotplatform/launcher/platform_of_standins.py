"""The real launcher over stand-ins for the platform's processes; run as a script by the tests.

Each stand-in is this same file with a role as its argument. The web stand-in forks a
worker, as the real web server does, and both answer for their pids in RUN_DIR/pids/.
"""

import http.server
import os
import signal
import sys
import time
from pathlib import Path

from iotplatform.launcher.orphans import die_with_parent

RUN_DIR = Path(os.environ["RUN_DIR"])
PIDS = RUN_DIR / "pids"
EVENTS = RUN_DIR / "events"


def note(role: str) -> None:
    """Leave the pid of a role that has started, and count the start."""
    PIDS.mkdir(exist_ok=True)
    fresh = PIDS / f".{role}.{os.getpid()}"
    fresh.write_text(str(os.getpid()))
    fresh.rename(PIDS / role)


def stop_noting(role: str) -> None:
    def stop(*_: object) -> None:
        with EVENTS.open("a") as events:
            events.write(f"{role}\n")
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)


def sleep_on() -> None:
    while True:
        time.sleep(3600)


def web() -> None:
    parent = os.getpid()
    if os.fork() == 0:
        die_with_parent(parent=parent)
        note("web-worker")
        sleep_on()
    stop_noting("web")

    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Healthy)
    note("web")
    server.serve_forever()


def worker() -> None:
    stop_noting("worker")
    note("worker")
    print("worker says hello", flush=True)
    sleep_on()


def forking() -> None:
    """A worker with a child that knows nothing of dying with its parent."""
    if os.fork() == 0:
        note("worker-child")
        sleep_on()
    worker()


def stubborn() -> None:
    """A worker that does not stop when asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("worker")
    sleep_on()


def broken() -> None:
    sys.exit("broken on purpose")


def run_standins(worker_role: str, web_role: str) -> int:
    from iotplatform.launcher import processes, static
    from iotplatform.launcher.__main__ import main
    from iotplatform.launcher.command import Command, Stage

    def as_command(role: str, stage: int, name: str) -> Command:
        return Command(name, (sys.executable, "-u", str(Path(__file__)), role), stage, stop_seconds=1.0)

    processes.platform = lambda _: [
        as_command(web_role, Stage.WEB, "web"),
        as_command(worker_role, Stage.WORKERS, "worker"),
    ]
    static.is_current = lambda _: True
    processes.manage = lambda _, name, *arguments: Command(name, (sys.executable, "-S", "-c", f"print({arguments!r})"))
    return main()


if __name__ == "__main__":
    roles = {"web": web, "worker": worker, "forking": forking, "stubborn": stubborn, "broken": broken}
    if sys.argv[1] in roles:
        roles[sys.argv[1]]()
    else:
        sys.exit(run_standins(*sys.argv[2:]))

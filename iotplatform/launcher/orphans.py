"""No process outlives the launcher, not even after `kill -9`.

Linux can send a process a signal when its parent dies (prctl(2),
PR_SET_PDEATHSIG). The setting belongs to one process: it survives exec but not
fork, is cleared by a change of user, and "parent" means the *thread* that
forked. So every child goes through this module on its way to exec (`wrapped`),
and a process that was forked by a child (a worker of the web server) calls
`die_with_parent()` itself. Elsewhere than on Linux both do nothing, and the next
start clears away what was left (leftovers.py).

Run as a script this module needs nothing but the standard library and starts in
a few milliseconds: `python -I -S orphans.py PARENT SIGNAL USER [NAME=VALUE …] -- COMMAND …`.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["User", "die_with_parent", "wrapped"]

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


class User(NamedTuple):
    """Whom a command runs as, by number; only root can run one as somebody else."""

    uid: int
    gid: int


def die_with_parent(signum: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Ask for `signum` when the thread that started this process ends; does nothing elsewhere than on Linux.

    `parent` is the pid that must still be the parent: where it died before the
    request was made, the signal is raised at once. Left out, it is taken from
    multiprocessing, when that started this process.
    """
    if sys.platform != "linux":
        return
    if parent is None:
        import multiprocessing  # not at the top: the script must start fast

        started_by = multiprocessing.parent_process()
        parent = None if started_by is None else started_by.pid
    _prctl(_PR_SET_PDEATHSIG, int(signum))
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signum)


def wrapped(
    argv: Sequence[str], death_signal: int, user: User | None = None, environment: Mapping[str, str] | None = None
) -> list[str]:
    """The command line that runs `argv` as `user` and sends it `death_signal` (0: none) when this process dies.

    `environment` is added to what the process inherits.
    """
    who = "-" if user is None else f"{user.uid}:{user.gid}"
    variables = [f"{name}={value}" for name, value in (environment or {}).items()]
    script = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal)), who]
    return [*script, *variables, "--", *argv]


def _main(arguments: Sequence[str]) -> None:
    parent, death_signal, who, *rest = arguments
    separator = rest.index("--")
    variables, command = rest[:separator], rest[separator + 1 :]
    for variable in variables:
        os.putenv(*variable.split("=", 1))
    if who != "-":
        uid, gid = who.split(":")
        _become(User(int(uid), int(gid)))
    if int(death_signal):  # after the change of user, which would clear it
        die_with_parent(int(death_signal), int(parent))
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def _become(user: User) -> None:
    """Give up root for `user`, keeping only the right to reach files in folders that are closed to that user.

    PostgreSQL refuses to run as root. The folder of the project may be closed to
    everybody else (/root, a temporary folder of mode 0700), and opening it for the
    server's sake would open it to all.
    """
    os.setgroups([user.gid])
    os.setgid(user.gid)
    if sys.platform == "linux":
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setuid(user.uid)
    os.chdir("/")
    if sys.platform == "linux":
        # Reading suffices; containers commonly withhold that right but grant the wider one.
        _ = _keep_only(_CAP_DAC_READ_SEARCH) or _keep_only(_CAP_DAC_OVERRIDE)


def _keep_only(capability: int) -> bool:
    """Keep this capability, across exec too, and no other; False where the process never had it."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; the high words
    if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
        return False
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    return True


def _prctl(option: int, value: int, more: int = 0) -> None:
    words = [ctypes.c_ulong(word) for word in (value, more, 0, 0)]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *words) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")


if __name__ == "__main__":
    _main(sys.argv[1:])

"""A clock for all processes of a platform, servers included, that a test can set (libfaketime, preloaded)."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FakedClock"]

_clocks = itertools.count(1)


class FakedClock:
    """The wall clock only: monotonic clocks go on, as they do when the time of a machine is set."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._name = f"{os.getpid()}-{next(_clocks)}"
        self._share()
        self.set(0)

    def set(self, hours: int) -> None:
        """So many hours from the true time; processes see it within a second."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{hours:+d}h\n" if hours else "+0\n")
        fresh.chmod(0o644)
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_SHARED": f"/faked-clock-{self._name} /faked-clock-{self._name}",
        }

    @contextmanager
    def for_children(self) -> Iterator[None]:
        """Whatever this process starts meanwhile has this clock."""
        before = {name: os.environ.get(name) for name in self.environment()}
        os.environ.update(self.environment())
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def close(self) -> None:
        """Remove what the library shares between processes."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.sem_unlink(self._shared)
        libc.shm_unlink(self._shared)

    @property
    def _shared(self) -> bytes:
        return f"/faked-clock-{self._name}".encode()

    def _share(self) -> None:
        """The library would make these for its own user only, and the database may run as another one."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.sem_open.restype = ctypes.c_void_p
        mask = os.umask(0)
        try:
            everybody = ctypes.c_uint(0o666)
            made = libc.sem_open(self._shared, os.O_CREAT | os.O_EXCL, everybody, ctypes.c_uint(1))
            memory = libc.shm_open(self._shared, os.O_CREAT | os.O_EXCL | os.O_RDWR, everybody)
        finally:
            os.umask(mask)
        assert made and memory >= 0, f"no shared memory: {os.strerror(ctypes.get_errno())}"
        # Two counters, then three times "not known yet": seconds and nanoseconds.
        os.write(memory, struct.pack("@8q", 0, 0, *(0, -1) * 3))
        os.close(memory)


def _library() -> Path:
    """The wheel `libfaketime` brings it compiled."""
    spec = importlib.util.find_spec("libfaketime")
    assert spec is not None and spec.origin is not None, "libfaketime is not installed: make setup-dev"
    return Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"

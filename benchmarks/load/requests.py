"""Whole HTTP requests in files, one file a connection, so that sending is all that is left to do when a clock runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import bodies
from benchmarks.fleet import Fleet

READINGS_PATH = "/api/v1/readings"

#: How the platform answers a request whose readings it has taken.
ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Load:
    """Requests on disk: `connections` pairs of files <n>.http (requests, end to end) and <n>.lengths (bytes of each).

    Every connection has the same number of requests; each request is meant to be sent once.
    """

    directory: Path
    connections: int
    posts: int
    readings: int
    fleet: Fleet
    start_ms: int
    #: The status of the answer that says that a request was taken.
    taken: int = ACCEPTED

    @property
    def readings_per_post(self) -> int:
        return self.readings // self.posts

    def lengths(self, connection: int) -> list[int]:
        return [int(line) for line in (self.directory / f"{connection}.lengths").read_text().split()]


def build(
    directory: Path,
    form: bodies.Form,
    share: bodies.Share,
    token: str | Callable[[int, int], str],
    path: str = READINGS_PATH,
    taken: int = ACCEPTED,
) -> Load:
    """Write the requests of all connections; `share` stands for each of them, its `connection` is not looked at.

    `token` is the key that every request carries, or a function of (connection, post) that names it. Whatever was in
    the directory is replaced.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for connection in range(share.connections):
        lengths = []
        with (directory / f"{connection}.http").open("wb") as file:
            for post, body in enumerate(form(replace(share, connection=connection))):
                key = token if isinstance(token, str) else token(connection, post)
                lengths.append(file.write(_head(path, key, len(body)) + body))
            # On disk before the clock starts: half a minute later the kernel would write a gigabyte of it at once, and
            # every sync of the log would wait that long for it (ext4).
            file.flush()
            os.fsync(file)
        (directory / f"{connection}.lengths").write_text("\n".join(map(str, lengths)))
    posts = share.posts * share.connections
    return Load(directory, share.connections, posts, posts * share.readings, share.fleet, share.start_ms, taken)


def _head(path: str, token: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()

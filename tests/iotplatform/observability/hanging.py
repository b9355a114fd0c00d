"""Servers that take a connection and then say nothing: what a cut network looks like."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.db import connections
from pytest import MonkeyPatch


@contextmanager
def silent_server() -> Iterator[int]:
    """A port of 127.0.0.1 that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def point_database_at(monkeypatch: MonkeyPatch, port: int) -> None:
    """Let new connections go to that port."""
    monkeypatch.setitem(connections.settings["default"], "HOST", "127.0.0.1")
    monkeypatch.setitem(connections.settings["default"], "PORT", str(port))


def with_config(settings, **changes: object) -> None:
    """Change values of config.yaml for one test."""
    settings.PLATFORM = replace(settings.PLATFORM, **changes)

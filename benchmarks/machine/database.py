"""The database of a run: a fresh one on the embedded server or on the server that DATABASE_URL names."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Database:
    """A database by its URL."""

    url: str

    def sibling(self, name: str) -> Database:
        """A database of that name on the same server; it need not exist yet."""
        return Database(urlsplit(self.url)._replace(path=f"/{name}").geturl())

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.removeprefix("/")

    def create(self, name: str) -> Database:
        """A new, empty database beside this one; one of that name left by a run that was killed is replaced."""
        fresh = self.sibling(name)
        self.drop(name)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return fresh

    def drop(self, name: str) -> None:
        """Drop the database of that name beside this one, whoever is connected to it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def checkpoint(self) -> None:
        """Begin the next measurement with nothing left to write; left out where the role may not do it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            allowed = connection.execute("SELECT pg_has_role(current_user, 'pg_checkpoint', 'USAGE')").fetchone()
            if allowed == (True,):
                connection.execute("CHECKPOINT")

    def version(self) -> str:
        """Such as "PostgreSQL 18.6, timescaledb 2.28.1"."""
        with psycopg.connect(self.url) as connection:
            server = connection.execute("SHOW server_version").fetchone()
            extension = connection.execute(
                "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
            ).fetchone()
        name = f"PostgreSQL {server[0].split()[0]}" if server else "PostgreSQL"
        return f"{name}, timescaledb {extension[0]}" if extension else name

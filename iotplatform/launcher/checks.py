"""What must be so before anything is started; each check raises LaunchError with what to do about it."""

import errno
import socket

import psycopg
import redis

from iotplatform.launcher.errors import LaunchError

__all__ = ["check_database", "check_port", "check_redis"]

_CONNECT_SECONDS = 5


def check_port(host: str, port: int) -> None:
    """HOST:PORT can be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise LaunchError(f"HOST is {host!r}, which is no address of this machine: {error.strerror}") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a just closed connection does not hold the port
        try:
            probe.bind(address)
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LaunchError(
                    f"port {port} of {host} is taken by another program: stop it, or choose another port, "
                    f"for example PORT={port + 1 if port < 65_535 else 8000} make run"
                ) from error
            raise LaunchError(f"cannot listen on HOST={host} PORT={port}: {error.strerror}") from error


def check_database(url: str) -> None:
    """The database that DATABASE_URL names takes connections."""
    try:
        psycopg.connect(url, connect_timeout=_CONNECT_SECONDS).close()
    except psycopg.Error as error:
        raise LaunchError(f"DATABASE_URL is set, but that database does not answer: {str(error).strip()}") from error


def check_redis(variable: str, url: str) -> None:
    """The Redis that `variable` names answers."""
    try:
        with redis.Redis.from_url(
            url, socket_timeout=_CONNECT_SECONDS, socket_connect_timeout=_CONNECT_SECONDS
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise LaunchError(f"{variable} is set, but that server does not answer: {error}") from error

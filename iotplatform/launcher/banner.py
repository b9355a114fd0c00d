"""What the user sees once everything runs: where to look and how to log in."""

from collections.abc import Iterator

from iotplatform.env import Config

__all__ = ["lines", "local_url"]

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104 - names them, binds nothing  # nosec B104


def local_url(config: Config) -> str:
    """Where this machine reaches the web server, without a slash at the end."""
    host = _ANY_ADDRESS.get(config.host, config.host)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{config.port}"


def lines(config: Config, seconds: float) -> Iterator[str]:
    """The table, line by line; `seconds` is how long the start took."""
    url = (config.public_url or local_url(config)).rstrip("/")
    rows = [
        ("Dashboard", f"{url}/"),
        ("Admin", f"{url}/admin/"),
        ("API", f"{url}/api/v1/docs"),
        ("Login", _login(config)),
        (
            "Database",
            _of_ones_own("DATABASE_URL")
            if config.database_url
            else f"embedded PostgreSQL in {config.run_dir}/postgres",
        ),
        ("Log", _of_ones_own("REDIS_URL") if config.redis_url else f"embedded Valkey in {config.run_dir}/redis-log"),
        ("Fleet", "simulated devices are sending (SIMULATOR=off: none)" if config.simulator == "on" else "off"),
        ("Output", f"{config.run_dir}/logs/"),
        ("Stop", "Ctrl-C"),
    ]
    yield ""
    yield f"  The platform runs (started in {seconds:.1f} s)"
    yield ""
    for name, value in rows:
        yield f"  {name:<10} {value}"
    yield ""


def _of_ones_own(variable: str) -> str:
    return f"that of {variable} (other terminals, for manage.py, need it too)"


def _login(config: Config) -> str:
    if config.admin_password:
        return "admin, with the password from DJANGO_SUPERUSER_PASSWORD (if it was set at the first start)"
    kept = config.run_dir / "admin-password"
    try:
        return f"admin / {kept.read_text().strip()}   (kept in {kept})"
    except OSError:
        return "admin, with the password set at the first start"

"""All checks, in the order of their report. None can hang or break the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from iotplatform.doctor import backups, columnar, configuration, database, flow, machine, servers
from iotplatform.doctor.findings import Finding, fail
from iotplatform.env import Config
from iotplatform.observability.probes import Answer, Question, ask

__all__ = ["examine"]

_SECONDS = 5.0

_START = "Start the platform (`make run`)"
_MIGRATE = "Run `manage.py migrate`."


@dataclass(frozen=True, slots=True)
class _Check:
    """`mend` is for when it gets no answer; it is made once all that it `needs` did answer."""

    about: str
    make: Callable[[], Iterable[Finding]]
    mend: str
    needs: tuple[str, ...] = ()


def examine(config: Config) -> list[Finding]:
    """Every finding, within some seconds, whatever is down."""
    left, found, usable = _checks(config), dict[str, list[Finding]](), set[str]()
    order = [check.about for check in left]
    while ready := [check for check in left if usable.issuperset(check.needs)]:
        left = [check for check in left if check not in ready]
        for about, findings, is_usable in _make(ready):
            found[about] = findings
            if is_usable:
                usable.add(about)
    return [finding for about in order for finding in found.get(about, [])]


def _checks(config: Config) -> list[_Check]:
    both = ("database", "migrations", "log")
    return [
        _Check("configuration", lambda: configuration.check_configuration(config), "See config.yaml."),
        _Check("code", configuration.check_code, "Run `manage.py check`."),
        _Check("database", lambda: database.check_database(config), f"{_START}, or see to DATABASE_URL."),
        _Check("migrations", database.check_migrations, _MIGRATE, ("database",)),
        _Check("engine", lambda: database.check_readings_table(config), _MIGRATE, ("database", "migrations")),
        _Check("columnar", lambda: columnar.check_columnar(config), _MIGRATE, ("database", "migrations")),
        _Check("log", lambda: servers.check_log_server(config), f"{_START}, or see to REDIS_URL."),
        _Check("cache", lambda: servers.check_cache(config), f"{_START}, or see to CACHE_URL.", ("log",)),
        _Check("shards", lambda: flow.check_shards(config), _MIGRATE, both),
        _Check("web", lambda: flow.check_web(config), f"{_START}."),
        _Check("workers", flow.check_workers, f"{_START}.", ("log",)),
        _Check("waiting", lambda: flow.check_waiting(config), "See whether log and database answer.", both),
        _Check("quarantine", lambda: flow.check_quarantine(config), _MIGRATE, ("database", "migrations")),
        _Check("rollups", flow.check_rollups, _MIGRATE, ("database", "migrations")),
        _Check("backups", lambda: backups.check_backups(config), _MIGRATE, ("database", "migrations")),
        _Check("clock", machine.check_clocks, "See whether log and database answer.", ("database", "log")),
        _Check("disk", lambda: machine.check_disk(config), "See whether RUN_DIR exists and can be read."),
    ]


def _make(checks: list[_Check]) -> Iterable[tuple[str, list[Finding], bool]]:
    """Checks made at the same time; one that breaks is a finding as well."""

    def question(check: _Check) -> Question:
        return lambda: Answer(True, value=list(check.make()))

    answers = ask({f"doctor-{check.about}": question(check) for check in checks}, _SECONDS)
    for check in checks:
        answer = answers[f"doctor-{check.about}"]
        if not answer.ok:
            yield check.about, [fail(check.about, f"No answer: {answer.detail.rstrip('.')}.", check.mend)], False
            continue
        # A server with faults can be asked more, tables that are missing cannot.
        failed = any(finding.level == "fail" for finding in answer.value)
        yield check.about, answer.value, not (failed and check.about == "migrations")

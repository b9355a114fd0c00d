"""Logs: one JSON object a line on stderr, whoever wrote it, with the request it belongs to and without secrets.

Our own code logs through structlog (``structlog.get_logger(__name__)``; events are short texts, facts are fields); what
libraries log through the standard library comes out in the same form. Commands typed by people
(``manage.py``) get readable lines instead, from WARNING up.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure", "json_formatter", "redact", "redacted"]

#: The name under which a process is known that was started by hand.
COMMAND_LINE = "manage"

_SECRETS = (
    # A device key: its prefix says which one, the rest is the secret.
    (re.compile(r"\b(iot_[0-9a-f]{12}_)[A-Za-z0-9_-]{8,}"), r"\1[redacted]"),
    (
        re.compile(
            r"(authorization[\"']?\s*[=:]\s*[\"']?(?:bearer |basic |token )?)(?!iot_[0-9a-f]{12}_\[)[^\s\"',;]+", re.I
        ),
        r"\1[redacted]",
    ),
    (re.compile(r"\b((?:bearer|basic)\s+)(?!iot_[0-9a-f]{12}_\[)[A-Za-z0-9._~+/=-]{16,}", re.I), r"\1[redacted]"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/@\"']+(?=@)", re.I), r"\1[redacted]"),
    (re.compile(r"\b((?:password|passwd|secret|token)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&)}\]]+", re.I), r"\1[redacted]"),
)
_SECRET_FIELDS = re.compile(r"authorization|cookie|password|passwd|secret|token|^key$|api_key", re.I)
_DEEPEST = 6
_noisy_libraries = {
    # The access log has one line per request already.
    "django.request": logging.ERROR,
    "django.server": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
    "celery.beat": logging.WARNING,
    "psycopg.pool": logging.WARNING,
}


def configure(process_name: str, *, debug: bool = False) -> None:
    """Set up all logging of this process; safe to call again.

    ``process_name`` stands in every line. "manage" is a person at a terminal.
    """
    readable = process_name == COMMAND_LINE
    level = logging.DEBUG if debug else logging.WARNING if readable else logging.INFO
    shared = _facts(process_name)
    last: list[Processor] = (
        [redact, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")]
        if readable
        else _as_json()
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _route_standard_library(shared, last, level)
    sys.excepthook = _log_uncaught if not readable else sys.__excepthook__
    threading.excepthook = _log_uncaught_in_thread if not readable else threading.__excepthook__


def json_formatter(process_name: str) -> logging.Formatter:
    """For servers that set up their own logging (granian.json): their lines in the same form as ours."""
    return _formatter(_facts(process_name), _as_json())


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Processor: takes secrets out of every field."""
    return {
        name: "[redacted]" if _SECRET_FIELDS.search(name) and value else redacted(value)
        for name, value in event.items()
    }


def redacted(value: Any, depth: int = 0) -> Any:
    """The value without device keys, authorization headers and passwords in URLs, however deep they lie."""
    if isinstance(value, str):
        for pattern, replacement in _SECRETS:
            value = pattern.sub(replacement, value)
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {
            str(name): "[redacted]" if _SECRET_FIELDS.search(str(name)) and inner else redacted(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner, depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return value if _is_exception_info(value) else redacted(str(value), depth + 1)


class _NamesProcess:
    """Processor: says which process it was, and which logger of the standard library."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["process"] = self._name
        record = event.get("_record")
        if record is not None:
            event["logger"] = record.name
        return event


def _facts(process_name: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _NamesProcess(process_name),
    ]


def _as_json() -> list[Processor]:
    # Tracebacks become text before secrets are looked for: they quote values.
    return [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(_to_json)]


def _formatter(shared: list[Processor], last: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        # `extra={…}` is how code that knows nothing of structlog gives its facts.
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _route_standard_library(shared: list[Processor], last: list[Processor], level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(shared, last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))  # what libraries say at DEBUG is about themselves
    for name, least in _noisy_libraries.items():
        logging.getLogger(name).setLevel(max(level, least))
    # Of answers that views gave on purpose the access log has a line already; only crashes are news.
    logging.getLogger("django.request").addFilter(_is_crash)
    logging.captureWarnings(True)


def _is_crash(record: logging.LogRecord) -> bool:
    return record.exc_info is not None


def _is_exception_info(value: Any) -> bool:
    """What the console's renderer wants to see as it is."""
    return isinstance(value, BaseException)


def _to_json(event: Any, **kw: Any) -> str:
    return json.dumps(event, ensure_ascii=False, **kw)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        structlog.get_logger(__name__).critical("process ends by an error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit and args.exc_value is not None:
        structlog.get_logger(__name__).error(
            "thread ended by an error",
            thread=args.thread.name if args.thread else None,
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )

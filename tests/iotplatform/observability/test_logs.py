"""What stands in the log of a process: JSON, whoever wrote it, and no secret."""

import json
import subprocess
import sys

import pytest

from iotplatform.env import BASE_DIR
from iotplatform.observability.logs import redacted

KEY = "iot_0123456789ab_J8f3kd93kfKDk39fkdlfk39fkDKf93kfdkfk3"


def stderr_of(code: str, process: str = "web") -> list[str]:
    """What a process writes that configures its log and then runs this code."""
    script = (
        "import logging, threading, structlog\n"
        "from iotplatform.observability.logs import configure\n"
        f"configure({process!r})\nlog = structlog.get_logger('ours')\n{code}"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=BASE_DIR
    ).stderr.splitlines()


def test_our_lines_and_those_of_libraries_are_json_of_one_form():
    ours, theirs, lead = map(
        json.loads,
        stderr_of(
            "structlog.contextvars.bind_contextvars(request_id='abc')\n"
            "log.info('stored', readings=3)\n"
            "logging.getLogger('library').warning('gave %s', 'way')\n"
            "logging.getLogger('ours').error('failed', extra={'shard': 3})\n"
        ),
    )
    assert (ours["event"], ours["level"], ours["process"], ours["readings"]) == ("stored", "info", "web", 3)
    assert ours["time"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("gave way", "warning", "library")
    assert (lead["event"], lead["shard"]) == ("failed", 3)
    assert ours["request_id"] == theirs["request_id"] == lead["request_id"] == "abc"


def test_a_line_break_in_what_is_logged_begins_no_line():
    forged = 'x\r\n{"event": "forged", "level": "info"}'
    lines = stderr_of(f"logging.getLogger('a.library').warning('asked for %s', {forged!r})\nlog.info({forged!r})\n")
    assert [json.loads(line)["event"] for line in lines] == [f"asked for {forged}", forged]


def test_a_traceback_is_a_field_of_one_line():
    lines = stderr_of(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n"
        "    log.exception('failed')\n    logging.getLogger('library').exception('failed too')\n"
        "thread = threading.Thread(target=lambda: {}['gone'])\nthread.start()\nthread.join()\n"
        "raise LookupError('at last')"
    )
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == [
        "failed",
        "failed too",
        "thread ended by an error",
        "process ends by an error",
    ]
    assert all("Traceback" in event["exception"] for event in events)
    assert "at last" in events[-1]["exception"]


def test_secrets_do_not_reach_the_log():
    lines = stderr_of(
        f"key = {KEY!r}\n"
        "log.info('asked with ' + key, headers={'Authorization': 'Basic abc', 'X': [key]}, password='hunter2')\n"
        "logging.getLogger('library').error('no answer from redis://:hunter2@127.0.0.1/0 for %s', key)\n"
        "try:\n    raise ValueError('postgresql://iot:hunter2@db/iot ' + key)\n"
        "except ValueError:\n    log.exception('failed')\n"
    )
    text = "\n".join(lines)
    assert len(lines) == 3
    assert "hunter2" not in text
    assert KEY[20:] not in text
    assert "iot_0123456789ab_[redacted]" in text
    assert json.loads(lines[0])["headers"]["Authorization"] == "[redacted]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Bearer {KEY}", "Bearer iot_0123456789ab_[redacted]"),
        ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", "Authorization: Bearer [redacted]"),
        ("rediss://user:pa:ss%40@host:6379/1", "rediss://user:[redacted]@host:6379/1"),
        ("host=db password=hunter2 user=iot", "host=db password=[redacted] user=iot"),
        ('{"token": "abc", "time": 3}', '{"token": "[redacted]", "time": 3}'),
        ("GET /a?token=abc&x=1", "GET /a?token=[redacted]&x=1"),
        ("the key iot_0123456789ab_… is revoked", "the key iot_0123456789ab_… is revoked"),
        ("http://127.0.0.1:8000/healthz", "http://127.0.0.1:8000/healthz"),
        ("a basic truth", "a basic truth"),
    ],
)
def test_what_counts_as_a_secret(text, expected):
    assert redacted(text) == expected


def test_debug_lines_are_left_out():
    assert stderr_of("log.debug('x')\nlogging.getLogger('library').debug('x')") == []


def test_a_person_at_a_terminal_gets_readable_lines_from_warning_up():
    lines = stderr_of(f"log.info('quiet')\nlog.warning('look here', key={KEY!r}, shard=3)", process="manage")
    assert len(lines) == 1
    assert "look here" in lines[0]
    assert "shard=3" in lines[0]
    assert not lines[0].startswith("{")
    assert KEY[20:] not in lines[0]


def test_the_web_server_itself_writes_the_same_form():
    (line,) = stderr_of(
        "import json\nfrom granian import log as granian\n"
        "granian.configure_logging('info', json.load(open('iotplatform/observability/granian.json')))\n"
        "granian.logger.info('Started worker-1')"
    )
    event = json.loads(line)
    assert (event["event"], event["process"], event["logger"]) == ("Started worker-1", "web", "_granian")

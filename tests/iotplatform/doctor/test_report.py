"""How findings are judged and shown."""

import io

import pytest

from iotplatform.doctor.configuration import check_configuration
from iotplatform.doctor.findings import fail, ok, warn
from iotplatform.doctor.flow import judge_waiting
from iotplatform.doctor.machine import judge_disk, judge_skew
from iotplatform.doctor.report import is_well, show
from iotplatform.env import config
from tests.iotplatform.doctor.changed import changed

GIB = 1 << 30


def test_lines_fit_into_eighty_columns():
    out = io.StringIO()
    show(
        [ok("a", "Fine."), warn("log durability", "word " * 60, "mend " * 40), fail("b", "Bad.", "Do.")], out, width=80
    )
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "→ Do." in out.getvalue()
    assert lines[-1] == "Something needs mending: 1 ok, 1 to look at, 1 wrong."


def test_what_is_well_is_not_told_how_to_mend():
    out = io.StringIO()
    show([ok("a", "Fine.")], out, width=80)
    assert "→" not in out.getvalue()
    assert "All is well" in out.getvalue()


def test_only_failures_make_it_unwell():
    assert is_well([ok("a", "A."), warn("b", "B.", "C.")])
    assert not is_well([ok("a", "A."), fail("b", "B.", "C.")])


@pytest.mark.parametrize(
    ("seconds", "level"), [(0.0, "ok"), (-1.9, "ok"), (2.1, "warn"), (-59.0, "warn"), (61.0, "fail"), (-3600.0, "fail")]
)
def test_clock_skew(seconds, level):
    assert judge_skew("database", seconds).level == level


def test_which_clock_is_ahead_is_told():
    assert "behind" in judge_skew("database", -5).text
    assert "ahead of" in judge_skew("database", 5).text


@pytest.mark.parametrize(
    ("free", "level"), [(50 * GIB, "ok"), (3 * GIB, "warn"), (GIB // 2, "warn"), (GIB // 8, "fail")]
)
def test_disk_space(free, level):
    assert judge_disk(".run", free, 100 * GIB).level == level


@pytest.mark.parametrize(
    ("size", "oldest", "level"),
    [(0, 0.0, "ok"), (10, 1.0, "ok"), (60, 1.0, "warn"), (10, 31.0, "warn"), (95, 1.0, "fail"), (1, 301.0, "fail")],
)
def test_what_waits(size, oldest, level):
    assert judge_waiting(size, oldest, 100).level == level


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"debug": True}, "DEBUG"),
        ({"allowed_hosts": "*"}, "ALLOWED_HOSTS"),
        ({"host": "0.0.0.0"}, "PUBLIC_URL"),
        ({"public_url": "http://iot.example.org"}, "https"),
        ({"metrics_networks": ""}, "METRICS"),
        ({"raw_retention_days": 7}, "RAW_RETENTION_DAYS"),
    ],
)
def test_unwise_settings(changes, word):
    assert all(finding.level == "ok" for finding in check_configuration(changed(config)))
    (unwise,) = [finding for finding in check_configuration(changed(config, **changes)) if finding.level == "warn"]
    assert word in unwise.text + unwise.mend

"""EMAIL_URL: what it means to Django, and what a wrong one is told."""

from __future__ import annotations

from typing import Any

import pytest

from iotplatform.env import load
from iotplatform.mail import mail_settings
from iotplatform.setting_kinds import ConfigError, Networks


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.org", ("mail.example.org", 25, "", "", False, False)),
        ("smtp://ann:p%40ss@mail.example.org", ("mail.example.org", 587, "ann", "p@ss", True, False)),
        ("smtp://ann:pw@mail.example.org:2525?starttls=off", ("mail.example.org", 2525, "ann", "pw", False, False)),
        ("smtp://mail.example.org?starttls=on", ("mail.example.org", 587, "", "", True, False)),
        ("smtps://ann:pw@mail.example.org", ("mail.example.org", 465, "ann", "pw", False, True)),
    ],
)
def test_a_mail_server(url: str, expected: tuple[Any, ...]) -> None:
    made = mail_settings(url, 10)
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    assert tuple(made[f"EMAIL_{name}"] for name in names) == expected
    assert made["EMAIL_TIMEOUT"] == 10


def test_without_one_nothing_is_sent() -> None:
    assert mail_settings(None, 10)["EMAIL_BACKEND"].endswith("dummy.EmailBackend")
    assert mail_settings("console://", 10)["EMAIL_BACKEND"].endswith("console.EmailBackend")


@pytest.mark.parametrize("url", ["smtp://", "smtp://host:port", "smtp://host?colour=red", "smtp://host?starttls=maybe"])
def test_a_wrong_one_says_what_is_right(url: str) -> None:
    with pytest.raises(ConfigError, match="EMAIL_URL=smtp://user:password@mail"):
        mail_settings(url, 10)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "300.0.0.0/8", "example.org", "10.0.0.0/8;fd00::/8"])
def test_networks_that_are_none_are_told_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"ALERT_EGRESS_ALLOW=10\.1\.0\.0/16"):
        Networks().parse("ALERT_EGRESS_ALLOW", text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALERT_GROUP_SECONDS", "-1"),
        ("ALERT_TIMEOUT_SECONDS", "3600"),
        ("ALERT_RETRY_HOURS", "ever"),
        ("EMAIL_FROM", "nobody"),
        ("EMAIL_FROM", "Ann\r\nBcc: x@example.org"),
        ("EMAIL_URL", "http://mail.example.org"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(name: str, value: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        load({name: value, "RUN_DIR": str(tmp_path)})

"""manage.py ensure_admin: somebody can log in after the first start, and nobody else learns the password."""

from __future__ import annotations

import dataclasses
import io
import stat
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command


@pytest.fixture
def run_dir(tmp_path: Path, settings: Any) -> Path:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, run_dir=tmp_path / "run", admin_password=None)
    return tmp_path / "run"


def run() -> str:
    out = io.StringIO()
    call_command("ensure_admin", stdout=out, stderr=out)
    return out.getvalue()


def test_the_first_start_makes_an_administrator_with_a_random_password(db: None, run_dir: Path) -> None:
    output = run()
    kept = run_dir / "admin-password"
    password = kept.read_text().strip()
    assert len(password) >= 16
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    admin = User.objects.get()
    assert (admin.username, admin.is_superuser, admin.is_staff) == ("admin", True, True)
    assert admin.check_password(password)
    assert password not in output


def test_later_starts_change_nothing(db: None, run_dir: Path) -> None:
    run()
    before = User.objects.get().password
    assert run() == ""
    assert User.objects.get().password == before


def test_any_superuser_will_do(db: None, run_dir: Path) -> None:
    User.objects.create_superuser("ada")
    run()
    assert not User.objects.filter(username="admin").exists()
    assert not (run_dir / "admin-password").exists()


def test_a_given_password_is_used_and_not_written_anywhere(db: None, run_dir: Path, settings: Any) -> None:
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, admin_password="given by the operator")
    assert "given by the operator" not in run()
    assert User.objects.get().check_password("given by the operator")
    assert not run_dir.exists()


@pytest.mark.parametrize("left", ["kept from before\n", ""])
def test_a_database_made_anew_keeps_the_password_of_its_run_dir(db: None, run_dir: Path, left: str) -> None:
    run_dir.mkdir()
    (run_dir / "admin-password").write_text(left)
    run()
    password = (run_dir / "admin-password").read_text().strip()
    assert password == left.strip() or not left
    assert len(password) >= 16
    assert User.objects.get().check_password(password)


def test_a_name_that_is_taken_is_told(db: None, run_dir: Path) -> None:
    User.objects.create_user("admin")
    with pytest.raises(CommandError, match="createsuperuser"):
        run()

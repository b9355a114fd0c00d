"""Make the first administrator, so that there is somebody who can log in."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

__all__ = ["Command"]

NAME = "admin"


class Command(BaseCommand):
    help = (
        "Create the superuser `admin` if there is no superuser. Its password is DJANGO_SUPERUSER_PASSWORD, "
        "else a random one, kept in RUN_DIR/admin-password."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        config = settings.PLATFORM
        kept = config.run_dir / "admin-password"
        password = config.admin_password or _kept_password(kept)
        try:
            User.objects.create_superuser(NAME, password=password)
        except IntegrityError as error:
            raise CommandError(
                f"There is no superuser, but a user {NAME!r} without those rights: rename that one, or make a "
                "superuser with `./manage.py createsuperuser`."
            ) from error
        where = "DJANGO_SUPERUSER_PASSWORD" if config.admin_password else str(kept)
        self.stdout.write(f"Created the administrator {NAME!r}; the password is in {where}")


def _kept_password(path: Path) -> str:
    """A random password that only its owner can read; that of an earlier start, if there was one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        # An empty file is what a crash between making and writing it leaves.
        if kept := path.read_text().strip():
            return kept
        handle = os.open(path, os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        password = secrets.token_urlsafe(15)
        file.write(f"{password}\n")
    return password

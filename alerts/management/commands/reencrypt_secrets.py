"""After SECRET_KEY was changed: the channels' secrets, read with the former key, are written with the new one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from alerts.models import Channel
from alerts.secrets import SecretUnreadable, decrypt, encrypt

__all__ = ["Command"]


class Command(BaseCommand):
    help = (
        "Write the secrets of all channels with the present SECRET_KEY. The former one must stand in "
        "SECRET_KEY_FALLBACKS; once this is done it may go."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost, written = _rewrite()
        self.stdout.write(f"{written} channels written with the present SECRET_KEY.")
        if lost:
            raise CommandError(f"The secrets of {', '.join(lost)} cannot be read with any key: enter them again.")


@transaction.atomic
def _rewrite() -> tuple[list[str], int]:
    """(names of the channels whose secrets are lost, how many were written)."""
    lost, written = [], 0
    for channel in Channel.objects.select_for_update().exclude(secret=b""):
        try:
            channel.secret = encrypt(decrypt(channel.secret))
        except SecretUnreadable:
            lost.append(channel.name)
            continue
        channel.save(update_fields=["secret"])
        written += 1
    return lost, written

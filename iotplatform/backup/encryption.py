"""Encrypted backups, in the format of age (https://age-encryption.org/v1): any `age` program can open them too.

For recipients (BACKUP_RECIPIENT) the dump is encrypted with their public keys: the machine that makes backups cannot read
them. With a passphrase (BACKUP_PASSPHRASE) it is encrypted for a key that is made for this one backup and lies beside it,
itself encrypted with the passphrase (`key.age`): so the dump is never whole in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyrage
from pyrage import passphrase as pyrage_passphrase
from pyrage import x25519

from iotplatform.backup.errors import BackupDamaged, BackupError

__all__ = ["KEY_FILE", "Opener", "Sealer", "opener", "sealer"]

#: The key of a backup that was made with a passphrase, encrypted with it.
KEY_FILE = "key.age"


@dataclass(frozen=True, slots=True)
class Sealer:
    """Encrypts for these recipients. ``key`` is the content of KEY_FILE where there is to be one."""

    kind: str
    recipients: list[Any]
    key: bytes | None = None

    def seal(self, source: Any, target: Any) -> None:
        """Encrypt all of one binary file into another, in small pieces."""
        pyrage.encrypt_io(source, target, self.recipients)

    def sealed(self, content: bytes) -> bytes:
        return bytes(pyrage.encrypt(content, self.recipients))


@dataclass(frozen=True, slots=True)
class Opener:
    """Decrypts with these identities."""

    identities: list[Any]

    def open(self, source: BinaryIO, target: Any) -> None:
        """Decrypt all of one binary file into another. Raises BackupError for a wrong key, BackupDamaged for a file
        that was changed, and the target's own OSError where it takes no more."""
        try:
            pyrage.decrypt_io(source, target, self.identities)
        except pyrage.DecryptError as error:
            raise BackupError(f"The backup cannot be decrypted with this key: {error}.") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise BackupDamaged(f"The encrypted dump is damaged: {error}.") from error


def sealer(recipient: str | None, passphrase: str | None) -> Sealer | None:
    """As the settings say; None where backups are not encrypted. Raises BackupError."""
    if recipient:
        return Sealer("recipient", [_recipient(each) for each in re.split(r"[,\s]+", recipient.strip())])
    if passphrase:
        identity = x25519.Identity.generate()
        key = pyrage_passphrase.encrypt(str(identity).encode(), passphrase)
        return Sealer("passphrase", [identity.to_public()], bytes(key))
    return None


def opener(folder: Path, kind: str, identity: str | None, passphrase: str | None) -> Opener:
    """For a backup that was encrypted in that way. Raises BackupError where the key is not given, or wrong."""
    if kind == "passphrase":
        if not passphrase:
            raise BackupError(
                "The backup is encrypted with a passphrase: set BACKUP_PASSPHRASE (or BACKUP_PASSPHRASE_FILE)."
            )
        try:
            identity = bytes(pyrage_passphrase.decrypt((folder / KEY_FILE).read_bytes(), passphrase)).decode()
        except pyrage.DecryptError as error:
            raise BackupError("The passphrase is not the one that the backup was made with.") from error
    if not identity:
        raise BackupError(
            "The backup is encrypted for a key: set BACKUP_IDENTITY (or BACKUP_IDENTITY_FILE) to its secret part, "
            "which begins with AGE-SECRET-KEY-1."
        )
    return Opener(
        [_identity(line) for line in identity.split() if line.startswith("AGE-SECRET-KEY-")] or _no_identity()
    )


def _recipient(text: str) -> Any:
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BackupError(f"BACKUP_RECIPIENT has {text!r}, which is no public key of age (age1…): {error}.") from error


def _identity(text: str) -> Any:
    try:
        return x25519.Identity.from_str(text)
    except pyrage.IdentityError as error:
        raise BackupError("BACKUP_IDENTITY is no secret key of age (AGE-SECRET-KEY-1…).") from error


def _no_identity() -> list[Any]:
    raise BackupError("BACKUP_IDENTITY has no secret key of age (AGE-SECRET-KEY-1…) in it.")

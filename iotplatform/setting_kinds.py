"""What a setting may be: each kind turns what was written into a value, or says what a right one looks like."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = ["Choice", "ConfigError", "Networks", "Number", "Text"]


class ConfigError(Exception):
    """A setting is wrong; the message names it and shows a right one."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in [low, high]."""

    low: float
    high: float
    example: str
    whole: bool = True

    def parse(self, name: str, raw: object) -> int | float:
        try:
            value = int(str(raw)) if self.whole else float(str(raw))
        except ValueError:
            value = None  # type: ignore[assignment]
        if value is None or not self.low <= value <= self.high:
            kind = "a whole number" if self.whole else "a number"
            raise ConfigError(
                f"{name} is {raw!r}, but must be {kind} from {self.low:g} to {self.high:g}, for example {name}={self.example}"
            )
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    values: tuple[str, ...]

    def parse(self, name: str, raw: object) -> str:
        # YAML 1.1 reads a bare on/off as a boolean.
        text = {True: "on", False: "off"}.get(raw, str(raw).lower()) if isinstance(raw, bool) else str(raw).lower()
        if text not in self.values:
            raise ConfigError(
                f"{name} is {raw!r}, but must be one of {', '.join(self.values)}: {name}={self.values[0]}"
            )
        return text


@dataclass(frozen=True, slots=True)
class Text:
    pattern: str
    example: str

    def parse(self, name: str, raw: object) -> str:
        text = str(raw).strip()
        if not re.fullmatch(self.pattern, text):
            raise ConfigError(f"{name} is {raw!r}, which is not of the right form, for example {name}={self.example}")
        return text


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks in CIDR form, with commas between them; may be empty."""

    def parse(self, name: str, raw: object) -> str:
        text = str(raw or "").strip()
        try:
            for each in filter(None, (part.strip() for part in text.split(","))):
                ipaddress.ip_network(each)
        except ValueError as error:
            raise ConfigError(
                f"{name} is {raw!r}: {error}; right is for example {name}=10.1.0.0/16,fd00::/8"
            ) from error
        return text

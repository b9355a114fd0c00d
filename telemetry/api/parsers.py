"""The JSON of people's routes: strict, and of bounded size. Readings have their own decoders in telemetry.intake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from telemetry.api.errors import PayloadTooLarge

MAX_BYTES = 1 << 20


class BoundedJSONParser(BaseParser):
    """JSON of at most 1 MiB (else 413); NaN, Infinity and a nesting that exhausts the stack are malformed (400)."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise PayloadTooLarge(f"The body is larger than the {MAX_BYTES:,} bytes that this route takes.")
        try:
            return json.loads(body, parse_constant=_refuse)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")

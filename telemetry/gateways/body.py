"""The bytes of an HTTP request body, bounded: neither a large body nor a gzip bomb is ever held in memory."""

from __future__ import annotations

import zlib
from typing import BinaryIO

_PIECE = 1 << 18
#: Each member costs a copy of all that follow it, and there is no telemetry in an empty one.
_MOST_MEMBERS = 200


class TooLarge(Exception):
    """More bytes than a request may have, before or after decompression."""


class NotGzip(ValueError):
    """Announced as gzip, but it is not, or it is cut."""


def read_body(stream: BinaryIO, announced: int | None, most: int) -> bytes:
    """The body as sent, at most ``most`` bytes. ``announced`` is Content-Length, None where the body is chunked.

    Raises TooLarge, for an announced size before reading anything, and EOFError where the sender stopped half-way.
    """
    if announced is not None:
        if announced > most:
            raise TooLarge
        body = stream.read(announced) if announced else b""
        if len(body) < announced:
            raise EOFError
        return body
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > most:
            raise TooLarge
        pieces.append(piece)
    return b"".join(pieces)


def gunzip(body: bytes, most: int) -> bytes:
    """Decompress gzip (RFC 1952), also of several members, to at most ``most`` bytes. Raises TooLarge and NotGzip."""
    plain: list[bytes] = []
    size = members = 0
    while body:
        members += 1
        if members > _MOST_MEMBERS:
            raise NotGzip(f"the gzip body has more than {_MOST_MEMBERS} members")
        inflater = zlib.decompressobj(wbits=31)
        try:
            piece = inflater.decompress(body, most - size + 1)
        except zlib.error as error:
            raise NotGzip(f"the body is not gzip: {error}") from None
        size += len(piece)
        if size > most:
            raise TooLarge
        if not inflater.eof:
            raise NotGzip("the gzip body is cut")
        plain.append(piece)
        body = inflater.unused_data
    return b"".join(plain)

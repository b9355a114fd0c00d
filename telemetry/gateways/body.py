"""Decompressing a request body, bounded: a gzip bomb is never held in memory."""

from __future__ import annotations

import zlib

#: Each member costs a copy of all that follow it, and there is no telemetry in an empty one.
_MOST_MEMBERS = 200


class TooLarge(Exception):
    """More bytes than a request may have, before or after decompression."""


class NotGzip(ValueError):
    """Announced as gzip, but it is not, or it is cut."""


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

"""A request's body: read within limits, and taken out of its gzip within limits."""

import zlib
from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from ringback.errors import BadEvent
from ringback.records import DeadLetterReason

GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """The body has more bytes than it may have."""


class Encoding(StrEnum):
    """The content encodings that are understood."""

    IDENTITY = "identity"
    GZIP = "gzip"


class Room:
    """How many bytes all requests together hold in memory; when it is full, no other is let in."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether no further request may be read; one that was let in is read to its end."""
        return self._held >= self._most

    @contextmanager
    def hold(self) -> Iterator["Held"]:
        """Count what one request reads, until the block ends."""
        held = Held(self._count)
        try:
            yield held
        finally:
            self._count(-held.size)

    def _count(self, size: int) -> None:
        self._held += size


class Held:
    """The bytes of one request; ``more`` is told of each that is added."""

    def __init__(self, more: Callable[[int], None]) -> None:
        self._more = more
        self.size = 0

    def add(self, size: int) -> None:
        """Hold so many bytes more."""
        self.size += size
        self._more(size)


async def read(chunks: AsyncIterable[bytes], most: int, held: Held) -> bytes:
    """The whole body. Raises `TooLarge` as soon as there is a byte too many."""
    parts: list[bytes] = []
    async for chunk in chunks:
        held.add(len(chunk))
        if held.size > most:
            raise TooLarge
        parts.append(chunk)
    return b"".join(parts)


def gunzip(body: bytes, most: int) -> bytes:
    """The plain body; no more than ``most`` + 1 bytes are ever unpacked.

    Raises `TooLarge`, and `BadEvent` (malformed) where it is not whole gzip.
    """
    plain = b""
    while body:
        stream = zlib.decompressobj(GZIP)
        try:
            plain += stream.decompress(body, most + 1 - len(plain))
        except zlib.error:
            raise not_gzip() from None
        if len(plain) > most:
            raise TooLarge
        if not stream.eof:
            raise not_gzip()
        body = stream.unused_data
    return plain


def not_gzip() -> BadEvent:
    """The error for a body that is not what its Content-Encoding says."""
    return BadEvent(DeadLetterReason.MALFORMED, "Content-Encoding is gzip, and the body is not whole gzip")

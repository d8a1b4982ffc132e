"""Bodies: bounded before and after gzip."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.body import Room, TooLarge, gunzip, read
from ringback.errors import BadEvent


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_read() -> None:
    room = Room(10)
    with room.hold() as held:
        assert await read(chunks(b"ab", b"", b"cd"), 4, held) == b"abcd"
        assert not room.is_full
        with room.hold() as other:
            await read(chunks(b"xxxxxx"), 6, other)
            assert room.is_full
        assert not room.is_full


async def test_a_byte_too_many() -> None:
    room = Room(4)
    with pytest.raises(TooLarge), room.hold() as held:
        await read(chunks(b"ab", b"cde"), 4, held)
    assert not room.is_full


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=3))
def test_gunzip(members: list[bytes]) -> None:
    plain = b"".join(members)
    packed = b"".join(map(gzip.compress, members))
    assert gunzip(packed, len(plain)) == plain
    if plain:
        with pytest.raises(TooLarge):
            gunzip(packed, len(plain) - 1)


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1000)) + packer.flush()
    assert len(bomb) < 2**20
    with pytest.raises(TooLarge):
        gunzip(bomb, 2**20)


# A name each: what is packed tells the time, and tests that are shared out must be called the same in all processes.
@pytest.mark.parametrize(
    "body",
    [b"nonsense", gzip.compress(b"cut" * 99)[:-9], gzip.compress(b"x") + b"more"],
    ids=["nonsense", "cut", "more behind it"],
)
def test_no_whole_gzip(body: bytes) -> None:
    with pytest.raises(BadEvent, match="not whole gzip"):
        gunzip(body, 1000)


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    try:
        assert len(gunzip(body, 100)) <= 100
    except (BadEvent, TooLarge):
        return

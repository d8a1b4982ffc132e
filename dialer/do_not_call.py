"""Loads do-not-call lists into Redis, where the scripts of the hopper and of the outreach look numbers up.

``ringback:do-not-call`` is the own list, which only grows. A national list is replaced as a whole: numbers leave it.
``ringback:do-not-call:national`` is what all of them come to. In Redis there are keyed hashes of numbers, no numbers.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import phonenumbers
from redis.asyncio import Redis

from dialer.hopper import reachable
from ringback.errors import SettingsError
from ringback.privacy import phone_ref
from ringback.redis_client import NATIONAL_LISTS

OWN_LIST = "ringback:do-not-call"
NATIONAL = "ringback:do-not-call:national"
_AT_ONCE = 5000


def numbers(lines: Iterable[str], country: str | None) -> Iterator[str]:
    """The E.164 number of each line; lines without a digit are left out.

    A number without a plus is one of ``country``; ``212,5550123`` is one too. Raises `SettingsError` for a line that is
    no possible number, by its place: whoever is on it would be called.
    """
    for place, line in enumerate(lines, 1):
        if not any(map(str.isdigit, line)):
            continue
        text = line.replace(",", "").strip()
        try:
            found = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            found = None
        if found is None or not phonenumbers.is_possible_number(found):
            hint = "" if country else "; numbers without a plus need their --country"
            raise SettingsError(f"line {place} is no phone number{hint}. Nothing of the file holds until all lines do")
        yield phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


async def add_to_own(redis: Redis, listed: Sequence[str], key: str) -> int:
    """Put numbers on the own list for ever; how many are new. ``key`` is `privacy.phone_key`. Raises `Unavailable`."""
    with reachable():
        return sum([await redis.sadd(OWN_LIST, *refs) async for refs in _refs(listed, key)])


async def replace_national(redis: Redis, country: str, listed: Sequence[str], key: str, obtained: float) -> int:
    """Take a country's list for the one before, at once; how many numbers are on it. Raises `Unavailable`.

    ``obtained`` is the business time from which on it ages.
    """
    one, loading = f"{NATIONAL_LISTS}:{country}", f"{NATIONAL_LISTS}:{country}:loading"
    with reachable():
        await redis.delete(loading)
        async for refs in _refs(listed, key):
            await redis.sadd(loading, *refs)
        # Two that are loaded at once know of each other. Until it is there, a first list is as old as can be.
        await redis.hsetnx(NATIONAL_LISTS, country, "0")
        loaded: list[Any] = await redis.hkeys(NATIONAL_LISTS)
        async with redis.pipeline(transaction=True) as change:
            change.rename(loading, one)
            change.sunionstore(NATIONAL, [f"{NATIONAL_LISTS}:{name.decode()}" for name in loaded])
            change.hset(NATIONAL_LISTS, country, repr(obtained))
            change.scard(one)
            return int((await change.execute())[-1])


async def _refs(listed: Iterable[str], key: str) -> AsyncIterator[list[str]]:
    rest = iter(listed)
    while batch := [phone_ref(phone, key) for phone in islice(rest, _AT_ONCE)]:
        yield batch

"""Events of made-up shoppers, told by references alone."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from ingest.identity import Merge, Names, names
from ringback.records import CartEvent, EventKind, Refs

KEY = "a key of tests"
SHOP = "example"
NOW = 1_790_000_000.0


def named(**refs: str) -> Names:
    return names(Refs(**refs), SHOP, KEY.encode())


def event(event_id: str, kind: EventKind = EventKind.ITEM_ADDED, **refs: str) -> CartEvent:
    return CartEvent(event_id=event_id, source="shopify/example", kind=kind, time=NOW, refs=Refs(**refs))


def event_of(event_id: str, refs: dict[str, str]) -> CartEvent:
    return replace(event(event_id), refs=Refs(**refs))


async def keys(redis: Redis, pattern: str = "*") -> list[str]:
    """The keys on a server, sorted."""
    found: list[Any] = await redis.keys(pattern)
    return sorted(key.decode() for key in found)


def refs_of(kinds: Iterable[str], values: str = "123") -> st.SearchStrategy[dict[str, str]]:
    """References of a few kinds and values, so that many of them meet."""
    return st.dictionaries(st.sampled_from(sorted(kinds)), st.sampled_from(values), min_size=1, max_size=4)


class Groups:
    """What belongs together, by union-find."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, one: str) -> str:
        parent = self._parent.setdefault(one, one)
        return one if parent == one else self.find(parent)

    def join(self, members: Iterable[str]) -> None:
        first, *others = (self.find(member) for member in members)
        for other in others:
            self._parent[self.find(other)] = self.find(first)


def merged(merges: Iterable[Merge]) -> Groups:
    groups = Groups()
    for merge in merges:
        groups.join(merge)
    return groups


def partition(whose: dict[str, str]) -> set[frozenset[str]]:
    """The sets of events that have the same shopper."""
    sets: dict[str, set[str]] = defaultdict(set)
    for one, shopper in whose.items():
        sets[shopper].add(one)
    return {frozenset(members) for members in sets.values()}

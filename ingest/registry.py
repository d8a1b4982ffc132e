"""What ingest remembers in Redis: whose a reference is, and what was published. ``lua/common.lua`` lists the keys.

Every step is one Lua script and one round trip for a whole batch; one Redis server, or a primary with replicas, but no
Redis Cluster. Arguments and answers are msgpack in one string: taking apart hundreds of them would cost more than all
the rest. Every method raises `ringback.errors.Unavailable` when Redis can't be reached or refuses; the step may then
have been done or not, and may be repeated.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingest.identity import Known, Merge, Resolution
from ringback.errors import Unavailable
from ringback.records import CartEvent
from ringback.settings import IngestSettings

_LUA = Path(__file__).parent / "lua"

_pack = msgspec.msgpack.Encoder().encode
_looked = msgspec.msgpack.Decoder(tuple[list[list[str]], list[int]]).decode
_ids = msgspec.msgpack.Decoder(list[str]).decode


class Look(NamedTuple):
    """What is known of each reference that was asked for, and the events that were published before."""

    known: dict[str, Known]
    seen: set[str]


class Settled(NamedTuple):
    """What is to be remembered of a publication."""

    merges: Sequence[Merge] = ()
    repoints: Sequence[tuple[str, str, str]] = ()
    erased: Sequence[str] = ()
    erased_refs: Sequence[str] = ()
    events: Sequence[str] = ()


class Registry:
    """References of shoppers, and events that were published. ``redis`` must return bytes."""

    def __init__(self, redis: Redis, settings: IngestSettings) -> None:
        common = (_LUA / "common.lua").read_text()
        self._scripts = {
            path.stem: redis.register_script(f"{common}\n{path.read_text()}")
            for path in _LUA.glob("*.lua")
            if path.stem != "common"
        }
        self._windows = [round(settings.identity_window * 1000), round(settings.duplicate_window * 1000)]

    async def look(self, refs: Iterable[str], events: Iterable[str]) -> Look:
        """Read what is known of references and events (see `fingerprint`)."""
        asked, prints = list(dict.fromkeys(refs)), list(dict.fromkeys(events))
        if not asked and not prints:
            return Look({}, set())
        known, seen = _looked(await self._run("look", (asked, prints)))
        return Look(
            {ref: _known(*row) for ref, row in zip(asked, known, strict=True)},
            {event for event, was in zip(prints, seen, strict=True) if was},
        )

    async def claim(self, found: Resolution) -> bool:
        """Remember what must be known before publication; False, and nothing is done, where it is out of date."""
        expected = [(shopper, customer or "") for shopper, customer in found.expected.items()]
        claims, customers = list(found.claims.items()), list(found.customers.items())
        return bool(await self._run("claim", (expected, claims, customers, found.merges)))

    async def settle(self, done: Settled) -> bool:
        """Remember what was published; False, and nothing is done, where an erased shopper became another one."""
        return bool(await self._run("settle", done))

    async def merged(self, shoppers: Sequence[str]) -> list[str]:
        """The shoppers that were merged into these, settled or not."""
        return _ids(await self._run("merged", shoppers))

    async def _run(self, script: str, told: Any) -> Any:
        with _reachable():
            return await self._scripts[script](args=[_pack(told), *self._windows])


def fingerprint(event: CartEvent) -> str:
    """What an event is recognised by when it comes again."""
    return blake2b(f"{event.source}\0{event.event_id}".encode(), digest_size=16).hexdigest()


def _known(held: str, shopper: str, customer: str, *unsettled: str) -> Known:
    if not unsettled:
        return Known(held or None, shopper or None, customer or None)
    pairs = zip(unsettled[::2], unsettled[1::2], strict=True)
    return Known(held or None, shopper, customer or None, tuple(Merge(*pair) for pair in pairs))


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis: {error}") from error

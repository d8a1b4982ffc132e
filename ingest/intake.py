"""The way of admitted requests into Kafka: gathered for a moment, without duplicates, each event with its shopper.

The order of effects is what makes a crash harmless. First Redis learns whose the new references are; then Kafka gets,
and acknowledges, the merges and the events; only then Redis learns that these were published, and the request is
answered. A request that is taken again after a crash in between leads to the same shoppers, and what is published twice
has the same source and event id.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from ingest.identity import Merge, Names, Placed, Resolution, erased, names, resolve
from ingest.registry import Registry, Settled, fingerprint
from ingest.source import Parsed, Refused, Shop
from ringback.errors import BadEvent, Unavailable
from ringback.records import CartEvent, DeadLetter, DeadLetterReason, EventKind, encode
from ringback.settings import IngestSettings
from ringback.validation import dead_letter, too_large

# So many at once take Redis some 10 ms, in which it does nothing else.
MOST_EVENTS = 500
# Each time somebody else was faster; more often than this in a row means that something is wrong.
MOST_ATTEMPTS = 20
# One source for all, so that a merge that is published twice is recognised whichever platform caused it.
MERGE_SOURCE = "ringback/identity"
STOPS = frozenset({EventKind.ORDER_COMPLETED, EventKind.OPTED_OUT, EventKind.ERASED})


class Admitted(NamedTuple):
    """What one authentic request holds. ``received_wall`` and ``received`` are when it came, wall and business time."""

    shop: Shop
    parsed: Parsed
    received_wall: float
    received: float


class Taken(NamedTuple):
    """What became of a request: events published, events that were published before, dead letters."""

    published: int
    repeated: int
    refused: int


class Publishes(Protocol):
    """Where events go; see `ingest.publisher.Publisher`."""

    async def publish(self, events: Sequence[CartEvent], letters: Sequence[DeadLetter] = ()) -> None:
        """Return when everything is acknowledged; raise `Unavailable` otherwise."""


@dataclass(slots=True, eq=False)
class _Item:
    """An event that waits. Where it has ``names``, its shopper_id is a guess until they are resolved."""

    event: CartEvent
    names: Names | None
    fingerprint: str
    repeated: bool = False

    @property
    def erases(self) -> bool:
        """Whether it asks for the erasure of a shopper whom references tell."""
        return self.names is not None and self.event.kind is EventKind.ERASED


@dataclass(slots=True, eq=False)
class _Request:
    items: list[_Item]
    letters: list[DeadLetter]
    arrived: float
    done: "asyncio.Future[Taken]"


class Intake:
    """Takes requests in their order and publishes them in batches, one after the other.

    ``key`` is ``privacy.phone_key``; ``now`` gives business time. `run` must be running.
    """

    def __init__(
        self, publisher: Publishes, registry: Registry, *, limits: IngestSettings, key: str, now: Callable[[], float]
    ) -> None:
        self._publisher = publisher
        self._registry = registry
        self._limits = limits
        self._key = key.encode()
        self._now = now
        self._waiting: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._stopped = False

    async def take(self, admitted: Admitted) -> Taken:
        """Return when Kafka has all of a request.

        Raises `Unavailable` when Kafka or Redis did not take it, all or some; it may then be given again.
        """
        if self._stopped:
            raise Unavailable("ingest is being stopped")
        loop = asyncio.get_running_loop()
        items, letters = self._sorted(admitted)
        request = _Request(items, letters, loop.time(), loop.create_future())
        self._waiting.append(request)
        self._arrived.set()
        return await request.done

    async def run(self) -> None:
        """Gather and publish, until cancelled; what waits then is `Unavailable`."""
        batch: list[_Request] = []
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(self._waiting[0].arrived + self._limits.linger - loop.time())
                batch = self._gathered()
                try:
                    await self._publish(batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
                    _fail(batch, error)
                else:
                    _succeed(batch)
        finally:
            self._stopped = True
            _fail([*batch, *self._waiting], Unavailable("ingest is being stopped"))

    def _gathered(self) -> list[_Request]:
        batch: list[_Request] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0].items) <= MOST_EVENTS):
            request = self._waiting.popleft()
            if not request.done.cancelled():  # else its caller has found another way
                batch.append(request)
                size += len(request.items)
        if not self._waiting:
            self._arrived.clear()
        return batch

    async def _publish(self, batch: Sequence[_Request]) -> None:
        letters = [letter for request in batch for letter in request.letters]
        if letters:
            await self._publisher.publish([], letters)
        for run in _runs(item for request in batch for item in request.items):
            if run[0].names is not None and run[0].erases:
                await self._erase(run[0], run[0].names)
            else:
                await self._stitch(run)

    async def _stitch(self, run: Sequence[_Item]) -> None:
        """Publish events, each with its shopper, and before them the merges that they show."""
        refs = dict.fromkeys(ref for item in run if item.names for ref in item.names.refs)
        known, seen = await self._registry.look(refs, (item.fingerprint for item in run))
        fresh = _fresh(run, seen)
        if not fresh:
            return
        named = [item.names for item in fresh if item.names]
        found = resolve(named, known)
        attempts = 1
        while found.claiming and not await self._registry.claim(found):
            if attempts == MOST_ATTEMPTS:
                raise Unavailable(f"Redis: what is known of shoppers changed {attempts} times while it was read")
            attempts += 1
            known, _ = await self._registry.look(refs, ())
            found = resolve(named, known)
        await self._publisher.publish(list(_outgoing(fresh, found)))
        await self._registry.settle(
            Settled(
                merges=[*found.unsettled, *found.merges],
                repoints=found.repoints,
                events=[item.fingerprint for item in fresh],
            )
        )

    async def _erase(self, item: _Item, named: Names) -> None:
        """Publish an erasure under every id that its shopper ever had, and forget the shopper.

        What one of them hands over at this moment comes to the other before the erasure does, since both go the same
        way.
        """
        for _ in range(MOST_ATTEMPTS):
            known, seen = await self._registry.look(named.refs, [item.fingerprint])
            if not _fresh([item], seen):
                return
            shoppers = erased(named, known)
            everybody = list(dict.fromkeys([*await self._registry.merged(shoppers), *shoppers]))
            await self._publisher.publish([replace(item.event, shopper_id=shopper) for shopper in everybody])
            if await self._registry.settle(
                Settled(erased=everybody, erased_refs=named.refs, events=[item.fingerprint])
            ):
                return
        raise Unavailable(f"Redis: shoppers were merged {MOST_ATTEMPTS} times while they were erased")

    def _sorted(self, admitted: Admitted) -> tuple[list[_Item], list[DeadLetter]]:
        items: list[_Item] = []
        letters: list[DeadLetter] = []
        for one in admitted.parsed:
            item = one if isinstance(one, Refused) else self._item(one, admitted)
            if isinstance(item, Refused):
                source = admitted.shop.source
                letters.append(dead_letter(item.error, item.raw, source=source, stage="ingest", time=self._now()))
                item = self._item(item.stop, admitted) if item.stop else item
            if isinstance(item, _Item):
                items.append(item)
        return items, letters

    def _item(self, event: CartEvent, admitted: Admitted) -> _Item | Refused:
        try:
            named = names(event.refs, admitted.shop.name, self._key) if event.refs else None
            shopper = named.refs[0] if named and named.refs else event.shopper_id
            ready = replace(event, shopper_id=shopper, refs=None, received_wall=admitted.received_wall)
            raw = encode(ready)
            item = _Item(ready, named if named and named.refs else None, fingerprint(event))
        except UnicodeEncodeError:  # JSON may hold halves of surrogate pairs, Kafka may not
            error = BadEvent(DeadLetterReason.MALFORMED, "the event has text that is not Unicode")
            return Refused(error, repr(event).encode(errors="backslashreplace"))
        if not shopper:
            error = BadEvent(
                DeadLetterReason.NO_SHOPPER, f"event {event.event_id!r} has nothing that tells whose it is"
            )
            return Refused(error, raw)
        if len(raw) > self._limits.max_event_bytes:
            return Refused(too_large(len(raw), self._limits), raw, _stop(event))
        return item


def _stop(event: CartEvent) -> CartEvent | None:
    if event.kind not in STOPS:
        return None
    return replace(event, items=(), value=None, currency=None, shopper=None, traffic=None)


def _runs(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """What is published together: an erasure stands alone, so that what comes after it is read after it."""
    run: list[_Item] = []
    for item in items:
        if run and (item.erases or run[-1].erases or len(run) == MOST_EVENTS):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _fresh(run: Sequence[_Item], seen: set[str]) -> list[_Item]:
    fresh: list[_Item] = []
    met = set(seen)
    for item in run:
        item.repeated = item.fingerprint in met
        if not item.repeated:
            met.add(item.fingerprint)
            fresh.append(item)
    return fresh


def _outgoing(items: Sequence[_Item], found: Resolution) -> Iterator[CartEvent]:
    placed = iter(found.placed)
    for item in items:
        if item.names is None:
            yield item.event
            continue
        place: Placed = next(placed)
        for merge in place.merges:
            yield _merging(item.event, EventKind.ABSORBED, merge, merge.winner, merge.loser)
            yield _merging(item.event, EventKind.MOVED, merge, merge.loser, merge.winner)
        yield item.event if item.event.shopper_id == place.shopper else replace(item.event, shopper_id=place.shopper)


def _merging(cause: CartEvent, kind: EventKind, merge: Merge, shopper: str, other: str) -> CartEvent:
    return CartEvent(
        event_id=f"{kind}/{merge.loser}/{merge.winner}",
        source=MERGE_SOURCE,
        shopper_id=shopper,
        kind=kind,
        time=cause.time,
        other=other,
        replay=cause.replay,
        received_wall=cause.received_wall,
    )


def _succeed(batch: Iterable[_Request]) -> None:
    for request in batch:
        if not request.done.done():
            repeated = sum(item.repeated for item in request.items)
            request.done.set_result(Taken(len(request.items) - repeated, repeated, len(request.letters)))


def _fail(batch: Iterable[_Request], error: Exception) -> None:
    for request in batch:
        if not request.done.done():
            request.done.set_exception(error)

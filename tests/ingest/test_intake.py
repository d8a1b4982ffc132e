"""From admitted requests to what Kafka gets: once, in order, under the right shopper, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from ingest.intake import MOST_EVENTS, Intake, Taken
from ingest.registry import Registry
from ingest.source import Refused
from ringback.errors import BadEvent, Unavailable
from ringback.records import DeadLetterReason, EventKind, Item, Refs, Shopper
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.ingest.intakes import LIMITS, Log, intake_of, request, running
from tests.ingest.references import NOW, event, keys, named


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def intake(redis: Redis, log: Log) -> AsyncIterator[Intake]:
    async with running(intake_of(log, Registry(redis, LIMITS))) as taking:
        yield taking


async def test_an_event_gets_its_shopper(intake: Intake, log: Log) -> None:
    assert await intake.take(request(event("e1", cart="k", email="e"))) == Taken(1, 0, 0)
    assert log.events == [
        replace(event("e1"), refs=None, shopper_id=named(email="e").refs[0], received_wall=NOW + 0.5),
    ]


async def test_an_event_that_comes_again_is_dropped(intake: Intake, log: Log) -> None:
    first, second = event("e1", cart="k"), event("e2", cart="k")
    assert await intake.take(request(first, first)) == Taken(1, 1, 0)
    assert await intake.take(request(first, second)) == Taken(1, 1, 0)
    assert [one.event_id for one in log.events] == ["e1", "e2"]


async def test_the_same_id_of_another_source_is_another_event(intake: Intake) -> None:
    first = event("e1", cart="k")
    assert await intake.take(request(first, replace(first, source="segment/example"))) == Taken(2, 0, 0)


async def test_requests_that_come_together_are_published_together(redis: Redis, log: Log) -> None:
    intake = intake_of(log, Registry(redis, LIMITS))
    events = [event(f"e{number}", cart=str(number % 7)) for number in range(50)]
    takes = [asyncio.create_task(intake.take(request(one))) for one in events]
    await asyncio.sleep(0)
    async with running(intake):
        assert await asyncio.gather(*takes) == [Taken(1, 0, 0)] * 50
    assert log.publications == 1
    assert [one.event_id for one in log.events] == [one.event_id for one in events]


@pytest.mark.parametrize("sizes", [[MOST_EVENTS * 2 + 1], [MOST_EVENTS, MOST_EVENTS, 1]])
async def test_large_batches_are_divided(redis: Redis, log: Log, sizes: list[int]) -> None:
    intake = intake_of(log, Registry(redis, LIMITS))
    ids = [[f"{number}/{part}" for part in range(size)] for number, size in enumerate(sizes)]
    takes = [
        asyncio.create_task(intake.take(request(*(event(event_id, cart="k") for event_id in some)))) for some in ids
    ]
    await asyncio.sleep(0)
    async with running(intake):
        assert await asyncio.gather(*takes) == [Taken(size, 0, 0) for size in sizes]
    assert log.publications == 3
    assert [one.event_id for one in log.events] == [event_id for some in ids for event_id in some]


async def test_a_merge_is_published_before_the_event_that_shows_it(intake: Intake, log: Log) -> None:
    await intake.take(request(event("e1", cart="k"), event("e2", anonymous="n")))
    await intake.take(request(event("e3", cart="k", anonymous="n")))
    winner, loser = sorted(named(cart="k", anonymous="n").refs)
    assert [(one.kind, one.shopper_id, one.other) for one in log.events[2:]] == [
        (EventKind.ABSORBED, winner, loser),
        (EventKind.MOVED, loser, winner),
        (EventKind.ITEM_ADDED, winner, None),
    ]
    assert len({(one.source, one.event_id) for one in log.events}) == 5


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
async def test_a_merge_whose_publication_failed_is_published_again(
    intake: Intake, log: Log, redis: Redis, cut: int
) -> None:
    await intake.take(request(event("e1", cart="k"), event("e2", anonymous="n")))
    log.cuts = iter([cut])
    with pytest.raises(Unavailable):
        await intake.take(request(event("e3", cart="k", anonymous="n")))
    log.events.clear()
    # Whoever comes first: here not the event that showed it.
    await intake.take(request(event("e4", anonymous="n"), event("e5", cart="k")))
    winner, loser = sorted(named(cart="k", anonymous="n").refs)
    assert [one.kind for one in log.events if one.other] == [EventKind.ABSORBED, EventKind.MOVED]
    assert {one.shopper_id for one in log.shops} == {winner}
    assert await redis.get(f"ringback:identity:moved:{loser}") == winner.encode()


async def test_events_that_name_their_shopper_pass(intake: Intake, log: Log, redis: Redis) -> None:
    native = replace(event("e1"), refs=None, shopper_id="s1")
    assert await intake.take(request(native, native)) == Taken(1, 1, 0)
    assert [one.shopper_id for one in log.events] == ["s1"]
    assert await keys(redis, "ringback:identity:*") == []


@pytest.mark.parametrize("refs", [None, Refs()])
async def test_an_event_of_nobody_is_a_dead_letter(intake: Intake, log: Log, refs: Refs | None) -> None:
    assert await intake.take(request(replace(event("e1"), refs=refs))) == Taken(0, 0, 1)
    (letter,) = log.letters
    assert (letter.reason, letter.source, letter.stage) == ("no_shopper", "shopify/example", "ingest")
    assert not log.events


async def test_what_was_refused_is_a_dead_letter_and_its_stop_is_kept(intake: Intake, log: Log) -> None:
    stop = event("e1", EventKind.ORDER_COMPLETED, order="o")
    refused = Refused(BadEvent(DeadLetterReason.NEGATIVE_PRICE, "value is below 0"), b"raw", stop)
    assert await intake.take(request(refused, event("e2", order="o"))) == Taken(2, 0, 1)
    assert [(letter.reason, letter.payload) for letter in log.letters] == [("negative_price", b"raw")]
    assert [one.kind for one in log.events] == [EventKind.ORDER_COMPLETED, EventKind.ITEM_ADDED]


async def test_text_that_is_not_unicode_is_a_dead_letter(intake: Intake, log: Log) -> None:
    in_event = event("e\ud800", cart="k")
    in_refs = event("e2", email="\udfff@example.com")
    assert await intake.take(request(in_event, in_refs, event("e3", cart="k"))) == Taken(1, 0, 2)
    assert [letter.reason for letter in log.letters] == ["malformed", "malformed"]


async def test_an_event_that_is_too_large_still_stops_calls(intake: Intake, log: Log) -> None:
    lines = tuple(Item(product_id=f"product {number}", title="x" * 100) for number in range(50))
    order = replace(event("e1", EventKind.ORDER_COMPLETED, order="o"), items=lines, value=1, currency="EUR")
    assert await intake.take(request(order, replace(event("e2", cart="k"), items=lines))) == Taken(1, 0, 2)
    assert [letter.reason for letter in log.letters] == ["too_large", "too_large"]
    assert [(one.kind, one.items, one.value) for one in log.events] == [(EventKind.ORDER_COMPLETED, (), None)]


async def test_an_erased_shopper_is_forgotten_under_every_id(intake: Intake, log: Log, redis: Redis) -> None:
    await intake.take(request(event("e1", cart="k"), event("e2", email="e", phone="p")))
    await intake.take(request(event("e3", cart="k", email="e", customer="ann"), event("e4", cart="another")))
    erasure = event("e5", EventKind.ERASED, customer="ann", email="e")
    log.events.clear()
    assert await intake.take(request(erasure)) == Taken(1, 0, 0)
    ids = {named(cart="k").refs[0], named(email="e").refs[0]}
    assert {one.shopper_id for one in log.events} == ids
    assert {(one.kind, one.event_id, one.refs) for one in log.events} == {(EventKind.ERASED, "e5", None)}
    (other,) = named(cart="another").refs
    assert await keys(redis, "ringback:identity:*") == [
        f"ringback:identity:{other}",
        f"ringback:identity:refs:{other}",
    ]
    assert await intake.take(request(erasure)) == Taken(0, 1, 0)


async def test_an_erasure_keeps_its_place_in_a_request(intake: Intake, log: Log, redis: Redis) -> None:
    erasure = event("e2", EventKind.ERASED, email="e")
    events = [event("e1", email="e", cart="k"), erasure, event("e3", cart="k")]
    assert await intake.take(request(*events)) == Taken(3, 0, 0)
    assert [one.event_id for one in log.events] == ["e1", "e2", "e3"]
    assert log.events[0].shopper_id == log.events[1].shopper_id == named(email="e").refs[0]
    assert log.events[2].shopper_id == named(cart="k").refs[0]
    assert await redis.exists(f"ringback:identity:{named(email='e').refs[0]}") == 0


async def test_an_erasure_while_its_shopper_is_merged(redis: Redis, log: Log) -> None:
    registry = Registry(redis, LIMITS)
    winner, loser = sorted("12", key=lambda cart: named(cart=cart).refs)
    async with running(intake_of(log, registry)) as intake, running(intake_of(Log(), registry)) as other:
        await intake.take(request(event("e1", cart=winner), event("e2", cart=loser)))
        log.meanwhile = other.take(request(event("e3", cart=loser, order="o"), event("e4", cart=winner, order="o")))
        assert await intake.take(request(event("e5", EventKind.ERASED, cart=loser))) == Taken(1, 0, 0)
    erased = [one.shopper_id for one in log.events if one.kind is EventKind.ERASED]
    assert set(erased) == {named(cart=winner).refs[0], named(cart=loser).refs[0]}
    assert await keys(redis, "ringback:identity:*") == []


async def test_nothing_of_a_person_is_in_redis(intake: Intake, redis: Redis) -> None:
    whole = event("e1", customer="c-4711", email="ann@example.com", phone="+442079460123", cart="token-4711")
    await intake.take(request(replace(whole, shopper=Shopper(name="Ann Example", phone="+442079460123"))))
    held = await keys(redis)
    for key in await keys(redis):
        kind: Any = await redis.type(key)
        values: Any = await redis.smembers(key) if kind == b"set" else [await redis.get(key)]
        held += [value.decode() for value in values]
    assert len(held) > 5
    for word in ("4711", "ann", "0123", "example"):
        assert not any(word in one.lower() for one in held)


async def test_kafka_away_and_back(intake: Intake, log: Log) -> None:
    log.cuts = iter([0])
    with pytest.raises(Unavailable, match="Kafka"):
        await intake.take(request(event("e1", cart="k")))
    assert await intake.take(request(event("e1", cart="k"))) == Taken(1, 0, 0)


async def test_without_redis_nothing_is_taken(log: Log) -> None:
    client = connect(RedisSettings(url="redis://127.0.0.1:1/0"))
    async with running(intake_of(log, Registry(client, LIMITS))) as intake:
        with pytest.raises(Unavailable, match="Redis"):
            await intake.take(request(event("e1", cart="k")))
    await client.aclose()
    assert not log.events


async def test_what_its_caller_gave_up_is_not_published(redis: Redis, log: Log) -> None:
    intake = intake_of(log, Registry(redis, LIMITS))
    takes = [asyncio.create_task(intake.take(request(event(f"e{number}", cart="k")))) for number in range(2)]
    await asyncio.sleep(0)
    takes[0].cancel()
    async with running(intake):
        assert await takes[1] == Taken(1, 0, 0)
    assert [one.event_id for one in log.events] == ["e1"]


async def test_a_stopped_intake_says_so(redis: Redis, log: Log) -> None:
    intake = intake_of(log, Registry(redis, LIMITS), LIMITS.model_copy(update={"linger": 3600.0}))
    waiting = asyncio.create_task(intake.take(request(event("e1", cart="k"))))
    async with running(intake):
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="stopped"):
        await waiting
    with pytest.raises(Unavailable, match="stopped"):
        await intake.take(request(event("e1", cart="k")))


async def test_a_bug_is_told_to_those_who_wait_and_to_nobody_else(intake: Intake, log: Log) -> None:
    log.cuts = iter(["no number"])  # type: ignore[list-item] # this is the bug
    with pytest.raises(TypeError):
        await intake.take(request(event("e1", cart="k")))
    assert await intake.take(request(event("e1", cart="k"))) == Taken(1, 0, 0)

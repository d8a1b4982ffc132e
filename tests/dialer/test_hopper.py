import asyncio
from itertools import count

import pytest
from redis.asyncio import Redis

from dialer.hopper import Hopper, Offer, Refusal, Refused, Reserved, Settled, Withdrawn
from dialer.limits import Limits
from ringback.errors import Unavailable
from ringback.records import Outcome
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.dialer.leads import NOON, lead

TOKEN = "token-1"
LEASE = 30.0


@pytest.fixture
async def leads(redis: Redis) -> Hopper:
    held = Hopper(redis, "main", Limits(caps=((86400.0, 2),), per_lead=2))
    assert await held.acquire_lease(TOKEN, 60)
    return held


async def reserve(
    hopper: Hopper, call_id: str, now: float, token: str = TOKEN, agents: tuple[str, ...] = ()
) -> Reserved | Refused | None:
    """The lead that one call gets, or why the last one that was looked at was refused."""
    rows = await hopper.reserve([call_id], now, token, LEASE, agents)
    return rows[-1] if rows else None


def refusal(result: Reserved | Refused | None) -> Refusal | None:
    return result.reason if isinstance(result, Refused) else None


async def test_leads_come_out_best_first_and_only_when_callable(leads: Hopper) -> None:
    await leads.offer(lead(1, priority=10), NOON)
    await leads.offer(lead(2, priority=30), NOON)
    await leads.offer(lead(3, priority=20), NOON)
    await leads.offer(lead(4, priority=99, callable_from=NOON + 60), NOON)
    assert [found.lead_id for found in await leads.candidates(NOON, 10)] == ["lead-2", "lead-3", "lead-1"]
    assert [found.lead_id for found in await leads.candidates(NOON, 1)] == ["lead-2"]
    assert [found.lead_id for found in await leads.candidates(NOON + 60, 1)] == ["lead-4"]
    assert await leads.size() == 4


async def test_a_lead_comes_back_as_it_was_offered(leads: Hopper) -> None:
    offered = lead(1, name="José", callable_from=NOON + 0.123456)
    await leads.offer(offered, NOON)
    assert await leads.candidates(NOON + 1, 1) == [offered]


async def test_the_same_lead_is_taken_once(leads: Hopper) -> None:
    assert await leads.offer(lead(1), NOON) is Offer.QUEUED
    assert await leads.offer(lead(1), NOON) is Offer.REPEATED
    await reserve(leads, "call-1", NOON, TOKEN)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    assert await leads.offer(lead(1), NOON) is Offer.REPEATED
    assert await leads.size() == 0


async def test_offers_are_refused_by_each_rule(leads: Hopper) -> None:
    await leads.withdraw("shopper-1", "bought", NOON)
    await leads.withdraw("shopper-2", "opted_out", NOON, lead(3).phone_ref)
    await leads.suppress(lead(4).phone_ref)
    assert await leads.offer(lead(1), NOON) is Offer.BOUGHT
    assert await leads.offer(lead(2), NOON) is Offer.OPTED_OUT
    assert await leads.offer(lead(3), NOON) is Offer.OPTED_OUT
    assert await leads.offer(lead(4), NOON) is Offer.DO_NOT_CALL
    assert await leads.offer(lead(5, callable_until=NOON), NOON) is Offer.EXPIRED
    assert await leads.offer(lead(1, lead_id="next cart", last_activity=NOON + 1), NOON) is Offer.QUEUED


async def test_an_older_purchase_does_not_undo_a_newer_one(leads: Hopper) -> None:
    await leads.withdraw("shopper-1", "bought", NOON)
    await leads.withdraw("shopper-1", "bought", NOON - 7200)
    assert await leads.offer(lead(1), NOON) is Offer.BOUGHT


async def test_of_two_leads_of_a_shopper_the_newer_stays(leads: Hopper) -> None:
    await leads.offer(lead(1, lead_id="old"), NOON)
    assert await leads.offer(lead(1, lead_id="older", last_activity=NOON - 9999), NOON) is Offer.ALREADY_QUEUED
    assert await leads.offer(lead(1, lead_id="same age, worth less", priority=1), NOON) is Offer.ALREADY_QUEUED
    assert await leads.offer(lead(1, lead_id="newer", last_activity=NOON - 60, priority=1), NOON) is Offer.QUEUED
    assert [found.lead_id for found in await leads.candidates(NOON, 9)] == ["newer"]
    await reserve(leads, "call-1", NOON, TOKEN)
    assert await leads.offer(lead(1, lead_id="newest", last_activity=NOON), NOON) is Offer.ALREADY_QUEUED


async def test_a_purchase_takes_the_lead_out(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    assert await leads.withdraw("shopper-1", "bought", NOON - 9999) == Withdrawn()
    assert await leads.withdraw("shopper-1", "bought", NOON) == Withdrawn(lead=lead(1))
    assert await leads.withdraw("shopper-1", "bought", NOON) == Withdrawn()
    assert await leads.candidates(NOON, 9) == []


async def test_a_changed_cart_takes_an_older_lead_out_and_leaves_no_mark(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    assert await leads.withdraw("shopper-1", "changed", lead(1).last_activity) == Withdrawn()
    assert (await leads.withdraw("shopper-1", "changed", NOON)).lead == lead(1)
    assert await leads.offer(lead(1, lead_id="again", last_activity=NOON), NOON) is Offer.QUEUED


async def test_a_withdrawal_flags_the_call_and_tells_at_once(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    notices = leads.notices()
    next_notice = asyncio.ensure_future(anext(notices))
    await reserve(leads, "call-1", NOON, TOKEN)
    await leads.launch("call-1", NOON, TOKEN)
    async with asyncio.timeout(10):
        while not next_notice.done():
            assert await leads.withdraw("shopper-1", "bought", NOON) == Withdrawn(call_id="call-1")
            await asyncio.wait([next_notice], timeout=0.01)
    assert next_notice.result() == "call-1"
    await notices.aclose()
    assert await leads.withdrawn() == {"call-1": "bought"}
    assert (await leads.in_progress())[0].withdrawn == "bought"
    assert await leads.settle("call-1", Outcome.NO_ANSWER, NOON + 60) is Settled.FINISHED
    assert await leads.withdrawn() == {}


async def test_a_reservation_needs_the_lease(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    assert refusal(await reserve(leads, "call-1", NOON, "other")) is Refusal.NOT_LEADER
    assert isinstance(await reserve(leads, "call-1", NOON, TOKEN), Reserved)
    await leads.release_lease(TOKEN)
    assert await leads.acquire_lease("other", 60)
    assert await leads.launch("call-1", NOON, TOKEN) is Refusal.NOT_LEADER


async def test_one_dialer_holds_the_campaign(leads: Hopper) -> None:
    assert not await leads.acquire_lease("other", 60)
    await leads.release_lease("other")
    assert await leads.acquire_lease(TOKEN, 0.01)
    async with asyncio.timeout(10):
        while not await leads.acquire_lease("other", 60):  # noqa: ASYNC110 - no event tells that a lease ran out
            await asyncio.sleep(0.005)
    assert not await leads.acquire_lease(TOKEN, 60)


async def test_reserve_again_gives_the_same_answer(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    first = await reserve(leads, "call-1", NOON, TOKEN)
    assert await reserve(leads, "call-1", NOON, TOKEN) == first == Reserved(lead(1), "call-1", 1)
    assert await reserve(leads, "call-2", NOON, TOKEN) is None


async def test_a_lead_is_not_called_outside_its_window(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    assert await reserve(leads, "call-1", NOON - 1, TOKEN) is None
    assert await reserve(leads, "call-1", NOON + 3600, TOKEN) is None
    assert await leads.expired() == [lead(1)]


async def test_expired_leads_are_reported_until_they_are_forgotten(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    assert await leads.candidates(NOON + 3600, 9) == []
    assert await leads.expired() == [lead(1)]
    await leads.forget(["lead-1", "never seen"])
    assert await leads.expired() == []
    assert await leads.offer(lead(1), NOON) is Offer.REPEATED


async def test_rules_are_checked_again_when_a_lead_is_reserved(leads: Hopper, redis: Redis) -> None:
    elsewhere = Hopper(redis, "other")
    for n in (1, 2, 3):
        await leads.offer(lead(n), NOON)
    await elsewhere.withdraw("shopper-1", "bought", NOON)
    await elsewhere.withdraw("shopper-2", "opted_out", NOON)
    await elsewhere.suppress(lead(3).phone_ref)
    refused = await leads.reserve(["call-1", "call-2"], NOON, TOKEN, LEASE)
    assert sorted(refused, key=str) == sorted(
        [
            Refused(Refusal.BOUGHT, lead(1)),
            Refused(Refusal.OPTED_OUT, lead(2)),
            Refused(Refusal.DO_NOT_CALL, lead(3)),
        ],
        key=str,
    )
    assert await leads.size() == 0


async def test_a_purchase_between_reservation_and_launch_stops_the_call(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    await reserve(leads, "call-1", NOON, TOKEN)
    await leads.withdraw("shopper-1", "bought", NOON)
    assert await leads.launch("call-1", NOON, TOKEN) is Refusal.BOUGHT
    assert await leads.unreserve("call-1", NOON) is Settled.FINISHED


async def test_a_lead_that_goes_back_has_the_rank_of_its_next_attempt(leads: Hopper) -> None:
    await leads.offer(lead(1, priority=30, retry_priorities=(15, 5)), NOON)
    await leads.offer(lead(2, priority=20), NOON)
    await leads.offer(lead(3, priority=10, retry_priorities=(5,)), NOON)
    await reserve(leads, "never placed", NOON, TOKEN)
    await leads.unreserve("never placed", NOON + 1)
    assert [found.lead_id for found in await leads.candidates(NOON + 1, 9)] == ["lead-1", "lead-2", "lead-3"]
    await reserve(leads, "call-1", NOON + 1, TOKEN)
    assert await leads.settle("call-1", Outcome.NO_ANSWER, NOON + 2) is Settled.REQUEUED
    assert [found.lead_id for found in await leads.candidates(NOON + 2, 9)] == ["lead-2", "lead-1", "lead-3"]
    # Without ranks of its own an attempt keeps the one that the lead has.
    await reserve(leads, "call-2", NOON + 2, TOKEN)
    await leads.settle("call-2", Outcome.BUSY, NOON + 3)
    assert [found.lead_id for found in await leads.candidates(NOON + 3, 9)] == ["lead-2", "lead-1", "lead-3"]


async def test_the_leads_that_may_be_called_by_then(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    await leads.offer(lead(2, callable_from=NOON + 600), NOON)
    await leads.offer(lead(3, callable_from=NOON + 601), NOON)
    assert [await leads.callable_by(NOON + later) for later in (-1, 0, 600, 3600)] == [0, 1, 2, 3]
    await leads.candidates(NOON, 1)
    assert await leads.callable_by(NOON) == 1
    await reserve(leads, "call-1", NOON, TOKEN)
    assert await leads.callable_by(NOON) == 0


async def test_nobody_gets_two_calls_at_once(leads: Hopper, redis: Redis) -> None:
    other = Hopper(redis, "other")
    assert await other.acquire_lease("other", 60)
    await leads.offer(lead(1), NOON)
    await leads.offer(lead(2, phone=lead(1).phone, priority=1), NOON)
    await other.offer(lead(1), NOON)
    assert isinstance(await reserve(leads, "call-1", NOON, TOKEN), Reserved)
    assert await reserve(leads, "call-2", NOON, TOKEN) == Refused(Refusal.IN_CALL)
    assert await reserve(other, "call-3", NOON, "other") == Refused(Refusal.IN_CALL)
    assert await leads.candidates(NOON, 9) == []
    assert [found.lead_id for found in await leads.candidates(NOON + 60, 9)] == ["lead-2"]
    await leads.settle("call-1", Outcome.NO_ANSWER, None)
    assert isinstance(await reserve(leads, "call-2", NOON + 60, TOKEN), Reserved)


async def test_caps_hold(leads: Hopper) -> None:
    calls = (f"call-{n}" for n in count())
    await leads.offer(lead(1, callable_until=NOON + 30 * 3600), NOON)
    for minute in (0, 10):
        call = next(calls)
        assert isinstance(await reserve(leads, call, NOON + minute * 60, TOKEN), Reserved)
        assert await leads.settle(call, Outcome.BUSY, NOON + minute * 60) is Settled.REQUEUED
    at = NOON + 1200
    assert refusal(await reserve(leads, next(calls), at, TOKEN)) is Refusal.LEAD_CAP
    same_number = {"phone": lead(1).phone, "callable_until": NOON + 24 * 3600}
    assert await leads.offer(lead(2, **same_number), at) is Offer.CAP
    assert await leads.offer(lead(2, **{**same_number, "callable_until": NOON + 26 * 3600}), at) is Offer.QUEUED
    assert await reserve(leads, next(calls), at, TOKEN) == Refused(Refusal.NUMBER_CAP)
    assert await leads.candidates(NOON + 24 * 3600 - 1, 9) == []
    assert isinstance(await reserve(leads, next(calls), NOON + 24 * 3600, TOKEN), Reserved)


async def test_a_call_that_was_not_placed_counts_for_no_cap(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    for n in range(5):
        reserved = await reserve(leads, f"call-{n}", NOON, TOKEN)
        assert isinstance(reserved, Reserved)
        assert reserved.attempt == 1
        assert await leads.unreserve(f"call-{n}", NOON) is Settled.REQUEUED


async def test_a_call_is_settled_once(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    await reserve(leads, "call-1", NOON, TOKEN)
    assert await leads.settle("call-1", Outcome.BUSY, NOON + 5) is Settled.REQUEUED
    assert await leads.settle("call-1", Outcome.BUSY, NOON + 5) is Settled.UNKNOWN
    assert await leads.candidates(NOON + 4, 9) == []
    assert len(await leads.candidates(NOON + 5, 9)) == 1


async def test_a_retry_after_the_window_ends_the_lead(leads: Hopper) -> None:
    await leads.offer(lead(1), NOON)
    await reserve(leads, "call-1", NOON, TOKEN)
    assert await leads.settle("call-1", Outcome.BUSY, NOON + 3600) is Settled.FINISHED


async def test_calls_in_progress_survive_a_restart(leads: Hopper, redis: Redis) -> None:
    for n in (1, 2):
        await leads.offer(lead(n), NOON)
        await reserve(leads, f"call-{n}", NOON + n)
    await leads.launch("call-2", NOON, TOKEN)
    found = {call.call_id: call for call in await Hopper(redis, "main").in_progress()}
    assert found["call-1"].lead == lead(1)
    assert (found["call-1"].launched, found["call-2"].launched) == (False, True)
    assert (found["call-1"].started, found["call-1"].attempt) == (NOON + 1, 1)


async def test_no_phone_number_stands_in_a_key(leads: Hopper, redis: Redis) -> None:
    await leads.offer(lead(1), NOON)
    await leads.offer(lead(2), NOON)
    await reserve(leads, "call-1", NOON, TOKEN)
    await leads.withdraw("shopper-1", "opted_out", NOON)
    await leads.suppress(lead(1).phone_ref)
    keys = [key.decode() async for key in redis.scan_iter()]
    assert keys
    assert all(key.startswith("ringback:") for key in keys)
    assert not any("555" in key for key in keys)


async def test_no_personal_data_stays_behind_a_finished_lead(leads: Hopper, redis: Redis) -> None:
    await leads.offer(lead(1), NOON)
    await reserve(leads, "call-1", NOON, TOKEN)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    tombstone = await redis.hgetall("ringback:campaign:main:lead:lead-1")
    assert tombstone[b"why"] == b"connected"
    assert not any(b"Ada" in value or b"555" in value for value in tombstone.values())
    assert await redis.ttl("ringback:campaign:main:lead:lead-1") > 29 * 86400


async def test_redis_out_of_reach_is_said() -> None:
    client = connect(RedisSettings(url="redis://127.0.0.1:1/0"))
    leads = Hopper(client, "main")
    with pytest.raises(Unavailable, match="Redis"):
        await leads.offer(lead(1), NOON)
    with pytest.raises(Unavailable):
        await leads.size()
    with pytest.raises(Unavailable):
        await anext(leads.notices())
    await client.aclose()

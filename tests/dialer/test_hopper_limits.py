"""Caps, lockouts, pace and budget, and the leases of reservations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from dialer.hopper import Hopper, Offer, Refusal, Refused, Reserved, Settled
from dialer.limits import DAY, Limits, caps_of
from ringback.records import Outcome
from ringback.settings import Settings
from tests.dialer.leads import NOON, lead

TOKEN = "token-1"
LEASE = 30.0
HOUR = 3600.0


async def hopper(redis: Redis, **limits: object) -> Hopper:
    made = Hopper(redis, "main", Limits(**limits))  # type: ignore[arg-type]  # the fields are those of Limits
    assert await made.acquire_lease(TOKEN, 60)
    return made


async def one(leads: Hopper, call_id: str, now: float) -> Reserved | Refused | None:
    rows = await leads.reserve([call_id], now, TOKEN, LEASE)
    return rows[-1] if rows else None


async def test_as_many_leads_as_there_are_ids_best_first(redis: Redis) -> None:
    leads = await hopper(redis)
    for n, priority in enumerate([10, 40, 20, 30]):
        await leads.offer(lead(n, priority=priority), NOON)
    rows = await leads.reserve(["a", "b", "c"], NOON, TOKEN, LEASE)
    assert [(row.call_id, row.lead.lead_id) for row in rows if isinstance(row, Reserved)] == [
        ("a", "lead-1"),
        ("b", "lead-3"),
        ("c", "lead-2"),
    ]
    more = await leads.reserve(["c", "d", "e"], NOON, TOKEN, LEASE)
    assert [(row.call_id, row.lead.lead_id) for row in more if isinstance(row, Reserved)] == [
        ("c", "lead-2"),
        ("d", "lead-0"),
    ]


async def test_worth_fades_with_age(redis: Redis) -> None:
    leads = await hopper(redis, decay=HOUR)
    # An hour older and worth less than e times as much; and more than e times.
    await leads.offer(lead(1, priority=1000), NOON)
    await leads.offer(lead(2, priority=2700, last_activity=lead(1).last_activity - HOUR), NOON)
    await leads.offer(lead(3, priority=2740, last_activity=lead(1).last_activity - HOUR), NOON)
    assert [found.lead_id for found in await leads.candidates(NOON, 9)] == ["lead-3", "lead-1", "lead-2"]


async def test_more_leads_than_one_step_ranks_are_ranked_before_any_is_reserved(redis: Redis) -> None:
    leads = await hopper(redis)
    for n in range(1, 700):
        await leads.offer(lead(n, phone_ref=f"ref-{n}", priority=n, callable_from=NOON + 60 - n / 100), NOON)
    found = await one(leads, "call-1", NOON + 60)
    assert isinstance(found, Reserved)
    assert found.lead.lead_id == "lead-699"


async def test_the_caps_of_the_lead_hold_for_person_and_number(redis: Redis) -> None:
    leads = await hopper(redis, caps=((DAY, 9),), per_lead=9)
    week = {"caps": ((7 * DAY, 1),), "callable_until": NOON + 30 * DAY}
    await leads.offer(lead(1, **week), NOON)
    await one(leads, "call-1", NOON)
    assert await leads.settle("call-1", Outcome.BUSY, NOON) is Settled.REQUEUED
    assert await one(leads, "call-2", NOON + 7 * DAY - 1) == Refused(Refusal.NUMBER_CAP)
    assert await leads.settle("call-1", Outcome.BUSY, NOON) is Settled.UNKNOWN
    found = await one(leads, "call-3", NOON + 7 * DAY)
    assert isinstance(found, Reserved)
    await leads.settle("call-3", Outcome.CONNECTED, None)
    # The same person at another number, and another person at the same number.
    later = NOON + 8 * DAY
    for other in ({"phone": lead(5).phone}, {"shopper_id": "somebody else"}):
        offered = lead(1, lead_id=str(other), last_activity=later, callable_from=later, **{**week, **other})
        assert await leads.offer(offered, later) is Offer.QUEUED
        assert await one(leads, "call-4", later) == Refused(Refusal.NUMBER_CAP)
        await leads.withdraw(offered.shopper_id, "changed", later + 1)


async def test_a_cap_of_none_forbids(redis: Redis) -> None:
    leads = await hopper(redis)
    assert await leads.offer(lead(1, caps=((DAY, 0),)), NOON) is Offer.CAP


def test_a_cap_that_calls_are_not_kept_for_is_refused() -> None:
    assert caps_of(lead(1, caps=((DAY, 2), (90 * DAY, 7)))) == "86400.0:2,7776000.0:7"
    with pytest.raises(ValueError, match="90 days"):
        caps_of(lead(1, caps=((91 * DAY, 7),)))


async def test_a_lockout_outlives_the_lead(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1), NOON)
    await one(leads, "call-1", NOON)
    until = NOON + 72 * HOUR
    assert await leads.settle("call-1", Outcome.ABANDONED, None, lockout_until=until) is Settled.FINISHED
    newer = {"last_activity": NOON + 60, "callable_until": until}
    assert await leads.offer(lead(1, lead_id="next", **newer), NOON + 60) is Offer.LOCKOUT
    longer = {**newer, "callable_until": until + HOUR}
    assert await leads.offer(lead(1, lead_id="later", **longer), NOON + 60) is Offer.QUEUED
    assert await one(leads, "call-2", NOON + 60) == Refused(Refusal.LOCKOUT)
    assert await one(leads, "call-3", until - 1) is None
    assert isinstance(await one(leads, "call-4", until), Reserved)


async def test_the_longer_lockout_holds_for_person_and_number(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.lock_out(lead(1), NOON + DAY, NOON)
    await leads.lock_out(lead(1), NOON + HOUR, NOON)
    for other in ({"phone": lead(5).phone}, {"shopper_id": "somebody else"}):
        assert await leads.offer(lead(1, **other, callable_until=NOON + DAY), NOON) is Offer.LOCKOUT


async def test_a_cause_has_its_own_number_of_calls(redis: Redis) -> None:
    leads = await hopper(redis, per_lead=9)
    await leads.offer(lead(1), NOON)
    await one(leads, "call-1", NOON)
    assert await leads.settle("call-1", Outcome.BUSY, NOON, most_calls=2) is Settled.REQUEUED
    await one(leads, "call-2", NOON)
    assert await leads.settle("call-2", Outcome.BUSY, NOON, most_calls=2) is Settled.FINISHED


async def test_the_campaign_keeps_its_pace(redis: Redis) -> None:
    leads = await hopper(redis, per_hour=3)
    for n in range(5):
        await leads.offer(lead(n, callable_until=NOON + DAY), NOON)
    rows = await leads.reserve([f"call-{n}" for n in range(5)], NOON, TOKEN, LEASE)
    assert len(rows) == 3
    assert await one(leads, "call-5", NOON + 1) == Refused(Refusal.CAMPAIGN_RATE)
    assert await leads.size() == 2
    # A call that was never placed is none.
    await leads.unreserve("call-0", NOON + DAY)
    assert isinstance(await one(leads, "call-6", NOON + 2), Reserved)
    assert await one(leads, "call-7", NOON + HOUR - 1) == Refused(Refusal.CAMPAIGN_RATE)
    assert isinstance(await one(leads, "call-8", NOON + HOUR + 60), Reserved)


async def test_the_campaign_keeps_its_budget(redis: Redis) -> None:
    leads = await hopper(redis, spend_a_day=1_000_000, price_of_call=100_000, price_of_minute=350_000)
    for n in range(9):
        await leads.offer(lead(n, callable_until=NOON + 2 * DAY), NOON)
    assert len(await leads.reserve(["a", "b"], NOON, TOKEN, LEASE)) == 2
    await leads.settle("a", Outcome.CONNECTED, None, talk_seconds=60.1)
    # 0.10 twice and two minutes at 0.35: there is one call left.
    rows = await leads.reserve(["c", "d"], NOON, TOKEN, LEASE)
    assert [isinstance(row, Reserved) for row in rows] == [True]
    assert await one(leads, "e", NOON + 600) == Refused(Refusal.CAMPAIGN_SPEND)
    await leads.unreserve("c", NOON + 700)
    assert isinstance(await one(leads, "f", NOON + 650), Reserved)
    assert isinstance(await one(leads, "g", NOON + DAY + 1300), Reserved)


async def test_old_counts_are_forgotten(redis: Redis) -> None:
    leads = await hopper(redis, per_hour=100, per_lead=1000, caps=())
    await leads.offer(lead(1, callable_until=NOON + 30 * DAY), NOON)
    for n in range(200):
        at = NOON + 60 * n
        assert isinstance(await one(leads, f"call-{n}", at), Reserved)
        await leads.settle(f"call-{n}", Outcome.BUSY, at)
    assert await redis.hlen("ringback:campaign:main:placed") <= 121


async def test_a_reservation_that_is_not_launched_goes_back(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1, callable_until=NOON + 30 * DAY), NOON)
    await leads.offer(lead(2, callable_until=NOON + 30 * DAY, priority=1), NOON)
    await leads.reserve(["call-1", "call-2"], NOON, TOKEN, LEASE)
    assert await leads.launch("call-2", NOON + 1, TOKEN) is None
    assert await leads.reclaim(NOON + LEASE - 1, TOKEN) == []
    assert await leads.reclaim(NOON + LEASE, "another") == []
    (back,) = await leads.reclaim(NOON + LEASE, TOKEN)
    assert (back.call_id, back.lead.lead_id, back.attempt, back.launched) == ("call-1", "lead-1", 1, False)
    # Whoever reserved it wakes up.
    assert await leads.launch("call-1", NOON + LEASE, TOKEN) is Refusal.GONE
    assert await leads.unreserve("call-1", NOON) is Settled.UNKNOWN
    assert [call.call_id for call in await leads.in_progress()] == ["call-2"]
    assert isinstance(await one(leads, "call-3", NOON + LEASE), Reserved)


async def test_a_withdrawn_reservation_does_not_come_back(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1), NOON)
    await one(leads, "call-1", NOON)
    await leads.withdraw("shopper-1", "bought", NOON)
    (back,) = await leads.reclaim(NOON + LEASE, TOKEN)
    assert back.withdrawn == "bought"
    assert await leads.size() == 0


async def test_a_rejected_lead_is_over_and_counts_for_nothing(redis: Redis) -> None:
    leads = await hopper(redis, caps=((DAY, 1),))
    await leads.offer(lead(1), NOON)
    await one(leads, "call-1", NOON)
    assert await leads.reject("call-1", "outside_hours") is Settled.FINISHED
    assert await redis.hget("ringback:campaign:main:lead:lead-1", "why") == b"outside_hours"
    assert await leads.offer(lead(1, lead_id="other"), NOON) is Offer.QUEUED


async def test_a_listed_number_that_rings_is_flagged(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1), NOON)
    await one(leads, "call-1", NOON)
    await leads.suppress(lead(1).phone_ref)
    assert await leads.withdrawn() == {"call-1": "do_not_call"}
    assert await leads.launch("call-1", NOON, TOKEN) is Refusal.DO_NOT_CALL


def test_the_limits_that_are_set() -> None:
    settings = Settings.model_validate(
        {
            "compliance": {"max_calls_per_hour": 5, "max_spend_per_day": "12.5", "price_per_minute": "0.0075"},
            "leads": {"decay": 60.0, "callback_patience": 1.0},
        }
    )
    found = Limits.of(settings)
    assert (found.per_hour, found.spend_a_day, found.price_of_call, found.price_of_minute) == (5, 12_500_000, 0, 7500)
    assert (found.decay, found.own_patience) == (60.0, 1.0)
    assert found.caps[0] == (DAY, settings.compliance.max_attempts_per_day)


@given(st.floats(0, 1e6) | st.none(), st.integers(0, 10**7))
def test_each_begun_minute_costs(seconds: float | None, price: int) -> None:
    cost = Limits(price_of_minute=price).cost_of_talk(seconds)
    assert cost >= (seconds or 0) / 60 * price - 1e-6 * price
    assert cost <= ((seconds or 0) / 60 + 1) * price

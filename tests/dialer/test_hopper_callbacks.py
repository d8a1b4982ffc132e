"""Callbacks in the hopper: promised by one agent or by any."""

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from dialer.hopper import Hopper, Offer, Refused, Reserved, Settled, Withdrawn
from dialer.limits import Limits
from ringback.decisions import Lead
from ringback.records import Outcome
from tests.dialer.leads import NOON, lead

TOKEN = "token-1"
LEASE = 30.0
HOUR = 3600.0
PATIENCE = 600.0
LATER = NOON + 2 * HOUR


@pytest.fixture
async def leads(redis: Redis) -> Hopper:
    held = Hopper(redis, "main", Limits(own_patience=PATIENCE))
    assert await held.acquire_lease(TOKEN, 60)
    return held


async def take(leads: Hopper, call_id: str, now: float, *agents: str) -> Reserved | Refused | None:
    rows = await leads.reserve([call_id], now, TOKEN, LEASE, agents)
    return rows[-1] if rows else None


def promised(agent: str | None = None, n: int = 1, **changes: object) -> Lead:
    return lead(n, callable_from=LATER, callable_until=LATER + 4 * HOUR, agent=agent, **changes)


async def called(leads: Hopper, n: int = 1, call_id: str = "call-1") -> None:
    await leads.offer(lead(n), NOON)
    assert isinstance(await take(leads, call_id, NOON), Reserved)


async def test_a_lead_that_is_over_comes_back_at_its_time(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    assert await leads.promise(promised(), NOON + 60) is Offer.QUEUED
    assert await take(leads, "call-2", LATER - 1, "7") is None
    assert await take(leads, "call-2", LATER) == Reserved(promised(), "call-2", 1)


async def test_a_promise_during_the_call_is_kept_after_it(leads: Hopper) -> None:
    await called(leads)
    assert await leads.promise(promised("7"), NOON + 60) is Offer.CALLING
    assert (await leads.in_progress())[0].call_id == "call-1"
    assert await leads.settle("call-1", Outcome.CONNECTED, None) is Settled.REQUEUED
    assert await take(leads, "call-2", LATER, "7") == Reserved(promised("7"), "call-2", 1, "7")
    assert await leads.settle("call-2", Outcome.CONNECTED, None) is Settled.FINISHED


async def test_it_waits_for_its_agent_and_then_for_any(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    await leads.promise(promised("7"), NOON + 60)
    assert await take(leads, "call-2", LATER, "8", "9") is None
    assert await leads.candidates(LATER + PATIENCE - 1, 9) == []
    found = await take(leads, "call-2", LATER + PATIENCE, "8")
    assert found == Reserved(promised("7"), "call-2", 1, None)


async def test_its_agent_gets_it_first(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    await leads.promise(promised("7"), NOON + 60)
    await leads.offer(lead(2, priority=10**9, callable_until=LATER + HOUR), NOON)
    rows = await leads.reserve(["a", "b"], LATER, TOKEN, LEASE, ["8", "7"])
    assert [(row.lead.lead_id, row.agent) for row in rows if isinstance(row, Reserved)] == [
        ("lead-1", "7"),
        ("lead-2", None),
    ]


async def test_promises_outrank_the_rest_the_earliest_first(leads: Hopper) -> None:
    for n in (1, 2):
        await called(leads, n, f"call-{n}")
        await leads.settle(f"call-{n}", Outcome.CONNECTED, None)
    await leads.promise(replace(promised(n=2), callable_from=LATER - 60), NOON)
    await leads.promise(promised(n=1), NOON)
    await leads.offer(lead(3, priority=10**9, callable_until=LATER + HOUR), NOON)
    assert [found.lead_id for found in await leads.candidates(LATER, 9)] == ["lead-2", "lead-1", "lead-3"]


async def test_nobody_answers_a_callback(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    await leads.promise(promised("7"), NOON)
    for attempt, call in ((1, "call-2"), (2, "call-3")):
        found = await take(leads, call, LATER + HOUR * (attempt - 1), "7")
        assert isinstance(found, Reserved)
        assert found.attempt == attempt
        settled = await leads.settle(call, Outcome.NO_ANSWER, LATER + HOUR, most_calls=2)
    assert settled is Settled.FINISHED


async def test_a_promise_replaces_what_waits_and_is_not_replaced(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    await leads.offer(lead(1, lead_id="another cart", last_activity=NOON), NOON)
    assert await leads.promise(promised(), NOON) is Offer.QUEUED
    assert await leads.size() == 1
    newer = lead(1, lead_id="newer", last_activity=NOON + 1)
    assert await leads.offer(newer, NOON + 1) is Offer.ALREADY_QUEUED
    assert await leads.withdraw("shopper-1", "changed", NOON + 2) == Withdrawn()
    assert (await leads.withdraw("shopper-1", "bought", NOON + 2)).lead == promised()


async def test_promised_again_the_new_time_holds(leads: Hopper) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    await leads.promise(promised("7"), NOON)
    assert await take(leads, "call-2", LATER) is None
    assert await leads.promise(replace(promised("8"), callable_from=LATER + 60), LATER) is Offer.QUEUED
    assert await take(leads, "call-3", LATER + 60, "7") is None
    found = await take(leads, "call-3", LATER + 60, "8")
    assert isinstance(found, Reserved)
    assert found.agent == "8"


@pytest.mark.parametrize("why", ["bought", "opted_out", "do_not_call", "expired"])
async def test_a_promise_is_no_licence(leads: Hopper, why: str) -> None:
    await called(leads)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    match why:
        case "bought" | "opted_out":
            await leads.withdraw("shopper-1", why, NOON)
        case "do_not_call":
            await leads.suppress(lead(1).phone_ref)
    now = LATER + 4 * HOUR if why == "expired" else NOON
    assert (await leads.promise(promised(), now)).value == why


async def test_a_purchase_during_the_call_undoes_the_promise(leads: Hopper) -> None:
    await called(leads)
    await leads.promise(promised(), NOON)
    await leads.withdraw("shopper-1", "bought", NOON)
    assert await leads.settle("call-1", Outcome.CONNECTED, None) is Settled.FINISHED


async def test_whom_a_call_went_to_is_known_for_a_day(leads: Hopper, redis: Redis) -> None:
    await called(leads)
    assert await leads.lead_of("call-1") == lead(1)
    await leads.settle("call-1", Outcome.CONNECTED, None)
    assert await leads.lead_of("call-1") == lead(1)
    assert 0 < await redis.ttl("ringback:campaign:main:ended:call-1") <= 86400
    await called(leads, 2, "call-2")
    await leads.settle("call-2", Outcome.NO_ANSWER, None)
    assert await leads.lead_of("call-2") is None
    assert await leads.lead_of("never") is None

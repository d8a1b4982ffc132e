"""The gate against a real server, and against what the hopper's own scripts write."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

import outreach
from dialer.hopper import Hopper
from outreach.claims import Claim, Claims, Standing
from outreach.rules import Rule
from ringback.decisions import Lead, Message
from ringback.errors import Unavailable
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.outreach.messages import NOON, message

DAY = 86_400.0


@pytest.fixture
def claims(redis: Redis) -> Claims:
    return Claims(redis, max_per_day=1)


async def claim(
    claims: Claims,
    of: Message,
    claimant: str = "one",
    now: float = NOON,
    forbidden: Rule | None = None,
    stale: float = NOON - 60,
) -> Claim:
    return await claims.claim(of, claimant, now, forbidden=forbidden, stale=stale)


async def refusal(claims: Claims, of: Message, now: float = NOON) -> str | None:
    found = await claim(claims, of, claimant=f"{of.message_id} {now}", now=now)
    return found.detail if found.standing is Standing.REFUSED else None


async def test_what_the_hopper_marks_outreach_refuses(claims: Claims, redis: Redis) -> None:
    hopper = Hopper(redis, "main")
    await hopper.withdraw("shopper-1", "bought", message(1).last_activity)
    await hopper.withdraw("shopper-2", "opted_out", NOON)
    await hopper.withdraw("somebody", "opted_out", NOON, message(3).phone_ref)
    await hopper.suppress(message(4).phone_ref)
    assert await refusal(claims, message(1)) == "bought"
    assert await refusal(claims, message(2)) == "opted_out"
    assert await refusal(claims, message(3)) == "opted_out"
    assert await refusal(claims, message(4)) == "do_not_call"
    assert await refusal(claims, message(5)) is None


async def test_an_opt_out_with_a_lead_in_the_hopper_covers_its_number(claims: Claims, redis: Redis) -> None:
    hopper, of = Hopper(redis, "main"), message(1)
    await hopper.offer(_lead(of), NOON)
    await hopper.withdraw("shopper-1", "opted_out", NOON)
    assert await refusal(claims, message(9, phone=of.phone)) == "opted_out"


async def test_an_order_before_the_last_activity_stops_nothing(claims: Claims, redis: Redis) -> None:
    await Hopper(redis, "main").withdraw("shopper-1", "bought", message(1).last_activity - 0.001)
    assert await refusal(claims, message(1)) is None


async def test_the_scripts_name_the_keys_of_the_hopper(claims: Claims, redis: Redis) -> None:
    hopper = Hopper(redis, "main")
    await hopper.withdraw("shopper-1", "bought", NOON)
    await hopper.withdraw("shopper-2", "opted_out", NOON, message(2).phone_ref)
    await hopper.suppress(message(4).phone_ref)
    script = (Path(outreach.__file__).parent / "lua" / "claim.lua").read_text()
    for key in [key.decode() async for key in redis.scan_iter()]:
        assert key.removesuffix("shopper-1") in script


async def test_a_message_is_claimed_once(claims: Claims) -> None:
    assert (await claim(claims, message())).standing is Standing.CLAIMED
    assert await claim(claims, message(), "two", now=NOON + 1) == Claim(Standing.HELD, "", NOON, reported=False)
    assert (await claim(claims, message(), "one", now=NOON + 1)).standing is Standing.CLAIMED


async def test_of_many_claimants_one_gets_the_message(claims: Claims) -> None:
    found = await asyncio.gather(*(claim(claims, message(), f"claimant {n}") for n in range(20)))
    assert sorted(each.standing for each in found) == [Standing.CLAIMED, *[Standing.HELD] * 19]


async def test_a_claimant_that_repeats_passes_the_gate_again(claims: Claims, redis: Redis) -> None:
    await claim(claims, message(1))
    await Hopper(redis, "main").withdraw("shopper-1", "bought", NOON)
    assert (await claim(claims, message(1))).detail == "bought"


@pytest.mark.parametrize("standing", ["sent", "failed"])
async def test_what_became_of_a_message_stays(claims: Claims, standing: str) -> None:
    await claim(claims, message())
    await claims.settle("message-0", "one", "sent" if standing == "sent" else "failed", "why", NOON + 1)
    for claimant in ("one", "two"):
        known = await claim(claims, message(), claimant, now=NOON + 9999, forbidden=Rule.EXPIRED)
        assert known == Claim(Standing(standing), "why", NOON + 1, reported=False)
    await claims.reported(["message-0"])
    assert (await claim(claims, message(), "two")).reported


async def test_a_refusal_stays(claims: Claims) -> None:
    refused = Claim(Standing.REFUSED, "expired", NOON, reported=False)
    assert await claim(claims, message(), forbidden=Rule.EXPIRED) == refused
    assert await claim(claims, message(), "two", now=NOON + 1) == refused


async def test_a_claim_of_a_dead_worker_is_given_up_and_not_sent(claims: Claims) -> None:
    await claim(claims, message(), "dead")
    given_up = Claim(Standing.FAILED, "unknown", NOON + 61, reported=False)
    assert (await claim(claims, message(), "two", now=NOON + 59, stale=NOON - 1)).standing is Standing.HELD
    assert await claim(claims, message(), "two", now=NOON + 61, stale=NOON + 1) == given_up
    await claims.settle("message-0", "dead", "sent", "", NOON + 62)
    await claims.release("message-0", "dead")
    assert await claim(claims, message(), "three", now=NOON + 63, stale=NOON + 3) == given_up


async def test_a_message_that_was_reported_but_not_noted_counts_as_sent(claims: Claims) -> None:
    await claim(claims, message(), "dead")
    await claims.reported(["message-0"])
    known = await claim(claims, message(), "two", now=NOON + 61, stale=NOON + 1)
    assert (known.standing, known.reported) == (Standing.SENT, True)


async def test_a_released_message_is_claimed_by_whoever_comes(claims: Claims) -> None:
    await claim(claims, message())
    await claims.release("message-0", "two")
    assert (await claim(claims, message(), "two")).standing is Standing.HELD
    await claims.release("message-0", "one")
    assert (await claim(claims, message(), "two")).standing is Standing.CLAIMED


async def test_the_cap_counts_messages_to_a_number_within_24_hours(redis: Redis) -> None:
    claims, phone = Claims(redis, max_per_day=2), message(1).phone
    assert await refusal(claims, message(1)) is None
    assert await refusal(claims, message(2, phone=phone), NOON + 60) is None
    assert await refusal(claims, message(3, phone=phone), NOON + DAY - 1) == "number_cap"
    assert await refusal(claims, message(4)) is None
    assert await refusal(claims, message(5, phone=phone), NOON + DAY) is None


async def test_a_message_that_is_tried_again_counts_once(claims: Claims) -> None:
    for n in range(3):
        assert (await claim(claims, message(1), f"try {n}", now=NOON + n)).standing is Standing.CLAIMED
        await claims.release("message-1", f"try {n}")
    assert await refusal(claims, message(2, phone=message(1).phone)) == "number_cap"


async def test_a_refused_message_does_not_count(claims: Claims) -> None:
    await claim(claims, message(1), forbidden=Rule.EXPIRED)
    assert await refusal(claims, message(2, phone=message(1).phone)) is None


async def test_no_phone_number_stands_in_redis(claims: Claims, redis: Redis) -> None:
    await claim(claims, message(1))
    await claims.settle("message-1", "one", "sent", "", NOON)
    record, tried = "ringback:message:message-1", f"ringback:messages:{message(1).phone_ref}"
    keys = [key.decode() async for key in redis.scan_iter()]
    assert sorted(keys) == sorted([record, tried])
    assert await redis.zrange(tried, 0, -1) == [b"message-1"]
    assert set(await redis.hgetall(record)) == {b"standing", b"claimant", b"detail", b"time"}
    for key in keys:
        assert "555" not in key
        assert await redis.ttl(key) > 29 * DAY


async def test_redis_out_of_reach_is_said() -> None:
    client = connect(RedisSettings(url="redis://127.0.0.1:1/0"))
    claims = Claims(client, max_per_day=1)
    with pytest.raises(Unavailable, match="Redis"):
        await claim(claims, message())
    with pytest.raises(Unavailable):
        await claims.settle("message-0", "one", "sent", "", NOON)
    with pytest.raises(Unavailable):
        await claims.release("message-0", "one")
    with pytest.raises(Unavailable):
        await claims.reported(["message-0"])
    with pytest.raises(Unavailable):
        await claims.ping()
    await client.aclose()


def _lead(of: Message) -> Lead:
    return Lead(
        lead_id=of.message_id,
        shopper_id=of.shopper_id,
        cart_id=of.cart_id,
        phone=of.phone,
        phone_ref=of.phone_ref,
        name=of.name,
        country=of.country,
        value=of.value,
        currency=of.currency,
        items=of.items,
        score=0.5,
        priority=1,
        last_activity=of.last_activity,
        callable_from=of.send_from,
        callable_until=of.send_until,
    )

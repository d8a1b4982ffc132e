"""Faults while calls ring and people talk: the carrier keeps count, and nobody is called twice or left in silence."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ringback.records import ContactEvent, ContactKind, Outcome
from tests.integration.campaign import SIP, Campaign, Servers, Value, agents, ends, mixed, until
from tests.servers.ami import AmiSession, Message, ami_session
from tests.servers.ami_link import AmiLink, Cut
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.sipp import Carrier

K = ContactKind
SILENCE_S = 2.0
PAUSE_S = 10.0
LONGEST_RING_S = 25.0
STORM_AGENTS = 8
STORM_LEADS = 40
STORM_S = 60.0
URGENT = 1_000_000


@pytest.fixture
def servers(asterisk: Asterisk, redis_server: Redis, kafka: Kafka) -> Servers:
    return asterisk, redis_server, kafka


@asynccontextmanager
async def campaign(
    servers: Servers, channel: str = SIP, ami_port: int | None = None, **dialer: Value
) -> AsyncIterator[Campaign]:
    """A campaign on empty Redis; closed after."""
    made = Campaign(servers, channel=channel, dialer=dialer, ami_port=ami_port)
    await made.redis.flushall()
    try:
        yield made
    finally:
        await made.close()


def stages(seen: list[Message], stage: str) -> dict[str, float]:
    """When each call came to a stage, or was hung up, by Asterisk's clock."""
    if stage == "Hangup":
        return {event["Uniqueid"]: float(event["Timestamp"]) for event in seen if event["Event"] == "Hangup"}
    told = [event for event in seen if event.get("UserEvent") == "Ringback" and event["Stage"] == stage]
    return {event["CallID"]: float(event["Timestamp"]) for event in told}


def silent(seen: list[Message], died: float = float("inf")) -> set[str]:
    """The calls that were answered and had neither an agent nor the message nor an end within two seconds.

    When Asterisk ``died``, all calls ended.
    """
    heard = [stages(seen, stage) for stage in ("connected", "abandoned", "Hangup")]
    late = float("inf")
    return {
        call
        for call, at in stages(seen, "answered").items()
        if min(died, *(stage.get(call, late) for stage in heard)) - at > SILENCE_S
    }


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_link_that_breaks_around_an_originate_makes_no_second_call(
    servers: Servers, carrier: Carrier, tester: AmiSession, cut: Cut
) -> None:
    # They ring for almost a second and talk for almost three.
    numbers = [f"1{area}5550193" for area in (212, 315, 617)]
    before = carrier.seen("INVITE")
    legs = await agents(tester, len(numbers), 2700)
    async with AmiLink(servers[0].port) as link, campaign(servers, ami_port=link.port) as made:
        link.cut = cut
        await made.offer_numbers(numbers)
        made.start()
        await until(lambda: carrier.seen("INVITE") - before == Counter(numbers), "all are called")
        await made.contacts(K.CONNECTED, len(numbers))
        await until(lambda: not made.dialer._board.busy(), "all calls are over")
        history = await made.history()
        assert link.cuts == 1
    assert carrier.seen("INVITE") - before == Counter(numbers)
    talks = ends([event for event in history if not not_placed(event)])
    assert [talks[f"lead-{n}"].outcome for n in range(len(numbers))] == [Outcome.CONNECTED] * len(numbers)
    for leg in legs:
        await tester.hang_up(leg)


async def test_all_agents_leave(servers: Servers, carrier: Carrier, tester: AmiSession) -> None:
    abandoned = [f"1575555{n:04d}" for n in (100, 101, 102)]
    leave = ["15055550109", "15055550119"]
    for_ever = ["12125550195", "13155550195"]
    first, later = [*abandoned, *leave, *for_ever], ["12125550100", "13155550100"]
    before = carrier.seen("INVITE")
    legs = await agents(tester, len(first), 2750)
    async with (
        campaign(servers, ring_timeout=LONGEST_RING_S) as made,
        ami_session(servers[0], Asterisk.user) as witness,
    ):
        await made.offer_numbers(first)
        made.start()
        await until(lambda: carrier.seen("INVITE") - before == Counter(first), "all are called")
        await asyncio.gather(*map(tester.hang_up, legs))
        await until(lambda: not list(made.dialer._board.agents), "the dialer knows that all agents left")
        await made.offer_numbers(later, len(first))
        ended = ends(await made.contacts(K.ENDED, len(first)))
        await made.settled()
        seen = list(witness.events)
        queued = await made.hopper.size()
    assert carrier.seen("INVITE") - before == Counter(first)
    outcomes = {number: ended[f"lead-{n}"].outcome for n, number in enumerate(first)}
    expected = {Outcome.ABANDONED: abandoned, Outcome.HUNG_UP: leave, Outcome.NO_ANSWER: for_ever}
    assert outcomes == {number: outcome for outcome, numbers in expected.items() for number in numbers}
    assert queued == len(later) + len(for_ever)  # who did not answer is tried again
    assert not silent(seen)
    assert len(stages(seen, "safe-harbour-played")) == len(abandoned)
    rang = {event["DestUniqueid"]: float(event["Timestamp"]) for event in seen if event["Event"] == "DialState"}
    hung_up = stages(seen, "Hangup")
    for n, number in enumerate(first):
        if number in for_ever:
            call = ended[f"lead-{n}"].contact_id
            # 16 CFR 310.4(b)(4)(ii): at least 15 seconds. And not as long as it may ring while agents are there.
            assert 15 <= hung_up[call] - rang[call] < LONGEST_RING_S


async def test_agents_who_leave_just_when_shoppers_come_are_gone(
    servers: Servers, carrier: Carrier, tester: AmiSession
) -> None:
    """The shopper is on the way to an agent whose leg goes: no agent is left on the floor, no shopper in silence."""
    numbers = [f"1{area}5550199" for area in (212, 315, 617, 412, 814, 919)]
    legs = await agents(tester, len(numbers), 2770)
    async with campaign(servers) as made, ami_session(servers[0], Asterisk.user) as witness:

        async def leave(nth: int, leg: str) -> None:
            """Around the moment in which shoppers are bridged."""
            await until(lambda: len(stages(witness.events, "answered")) > nth, "a shopper answers")
            await tester.hang_up(leg)

        await made.offer_numbers(numbers)
        made.start()
        await asyncio.gather(*(leave(nth, leg) for nth, leg in enumerate(legs)))
        await made.contacts(K.ENDED, len(numbers))
        await made.settled()
        await until(lambda: not list(made.dialer._board.agents), "the dialer knows that all agents left")
        seen = list(witness.events)
    assert not silent(seen)


async def test_a_storm(servers: Servers, carrier: Carrier) -> None:
    """One campaign through it all: the dialer killed while phones ring and people talk, then paused; no Redis; no
    Asterisk."""
    asterisk, redis, _ = servers
    numbers = mixed(STORM_LEADS)
    before = carrier.seen("INVITE")

    def called() -> Counter[str]:
        return carrier.seen("INVITE") - before

    async with campaign(servers) as made:

        async def until_more_ring(fault: int) -> None:
            """These ring for six seconds, so the fault comes before they answer, and then stay for more than two."""
            rings = [f"150555501{6 + fault}{n}" for n in range(4)]
            await made.offer_numbers(rings, len(numbers), priority=URGENT)
            numbers.extend(rings)
            await until(lambda: set(rings) <= called().keys(), f"{rings} ring")

        await made.offer_numbers(numbers)
        dialer = made.process()
        try:
            async with staffed(asterisk) as seen:
                await asyncio.to_thread(dialer.start)
                await until(lambda: len(stages(seen, "connected")) > STORM_AGENTS, "people talk")
                await until_more_ring(0)
                dialer.kill()
                await asyncio.to_thread(dialer.start)
                await until_more_ring(1)
                dialer.pause()
                await asyncio.sleep(PAUSE_S)
                dialer.resume()
                await until_more_ring(2)
                await asyncio.to_thread(redis.restart)
                await made.redis.connection_pool.disconnect()
                await until_more_ring(3)
                asterisk.kill()
                died = time.time()
            await asyncio.to_thread(asterisk.start)
            async with staffed(asterisk) as seen_after:
                await over(made)
        finally:
            await asyncio.to_thread(dialer.close)
        history = await made.history()

    assert set(called().values()) == {1}
    placed = ends([event for event in history if not not_placed(event)])
    assert len(placed) == len(numbers)
    assert not silent(seen, died)
    assert not silent(seen_after)
    witnessed = {*stages(seen, "abandoned"), *stages(seen_after, "abandoned")}
    assert witnessed  # at least who answered while the dialer was paused
    assert {end.contact_id for end in placed.values() if end.outcome is Outcome.ABANDONED} == witnessed


@asynccontextmanager
async def staffed(asterisk: Asterisk) -> AsyncIterator[list[Message]]:
    """Agents are there; what the dialer is told of the calls."""
    async with ami_session(asterisk) as tester, ami_session(asterisk, Asterisk.user) as witness:
        legs = await agents(tester, STORM_AGENTS, 2800)
        yield witness.events
        if asterisk.running:
            for leg in legs:
                await tester.hang_up(leg)


async def over(made: Campaign) -> None:
    """Wait until nobody is called any more, nor can be now."""
    async with asyncio.timeout(STORM_S):
        while await made.hopper.in_progress() or await made.hopper.callable_by(made.now):  # noqa: ASYNC110 - Redis does not say
            await asyncio.sleep(0.2)


def not_placed(event: ContactEvent) -> bool:
    """Whether a call was undone before Asterisk was asked for it."""
    return event.kind is K.ENDED and (event.detail or "").startswith("not placed")

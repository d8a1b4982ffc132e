"""The dialer on a real Asterisk: every outcome is what the far end did, over Local channels and over SIP."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dialer.hopper import Offer
from ringback.records import ContactKind, Outcome
from tests.dialer.leads import NOON, lead
from tests.integration.campaign import LOCAL, OUTCOMES, SIP, Campaign, Servers, Value, agents, ends, mixed, until
from tests.servers.ami import AmiSession, Message, ami_session
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.shoppers import Kind, behaviour
from tests.servers.sipp import Carrier

K = ContactKind
AGENTS = 40
PATIENT = "+19075550110"


@asynccontextmanager
async def running(servers: Servers, channel: str = LOCAL, **dialer: Value) -> AsyncIterator[Campaign]:
    """A campaign on empty Redis; close it after."""
    made = Campaign(servers, channel=channel, dialer=dialer)
    await made.redis.flushall()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def servers(asterisk: Asterisk, redis_server: Redis, kafka: Kafka) -> Servers:
    return asterisk, redis_server, kafka


@pytest.fixture
async def campaign(servers: Servers) -> AsyncIterator[Campaign]:
    async with running(servers) as made:
        yield made


@pytest.mark.parametrize("channel", [LOCAL, SIP])
async def test_every_outcome_cause_and_time_is_what_the_far_end_did(
    servers: Servers, carrier: Carrier, tester: AmiSession, channel: str
) -> None:
    numbers = [*mixed(100), "14045550109", "14045550119"]
    if channel == SIP:
        numbers += ["12165550105", "12165550115"]  # 183 without 180
    before = carrier.seen("INVITE")
    legs = await agents(tester, AGENTS, 2100)
    async with running(servers, channel=channel, lines=AGENTS) as campaign:
        asterisk = servers[0]
        async with ami_session(asterisk, asterisk.user) as witness:
            await campaign.offer_numbers(numbers)
            campaign.start()
            events = await campaign.contacts(K.ENDED, len(numbers))
            await campaign.settled()
            seen = list(witness.events)
    ended = ends(events)
    attempted = Counter(event.lead_id for event in events if event.kind is K.ATTEMPTED)
    assert set(attempted.values()) == {1}
    for n, number in enumerate(numbers):
        expected, end = behaviour(number), ended[f"lead-{n}"]
        assert end.outcome in OUTCOMES[expected.kind], (number, expected, end)
        told = told_of(seen, end.contact_id)
        cause = int(told["Hangup"]["Cause"])
        # A SIP far end that ends the talk gives no cause; Asterisk says 0 or "normal clearing".
        assert cause == expected.cause or (channel == SIP and expected.answers and cause == 0), (number, cause)
        if expected.answers:
            assert seconds(told["DialState"], told["answered"]) * 1000 == pytest.approx(expected.ring_ms, abs=300)
            assert seconds(told["answered"], told["Hangup"]) * 1000 == pytest.approx(expected.talk_ms, abs=400)
        if end.outcome is Outcome.CONNECTED and expected.kind is Kind.HUMAN:
            assert end.wait_seconds is not None
            assert end.talk_seconds is not None
            assert (end.wait_seconds + end.talk_seconds) * 1000 == pytest.approx(expected.talk_ms, abs=400)
    if channel == SIP:
        assert carrier.seen("INVITE") - before == Counter(numbers)
    for leg in legs:
        await tester.hang_up(leg)


async def test_a_trunk_without_an_answer_is_never_taken_for_people_who_do_not_answer(
    servers: Servers, carrier: Carrier, tester: AmiSession
) -> None:
    [leg] = await agents(tester, 1, 2150)
    carrier.pause()
    try:
        async with running(servers, channel=SIP) as campaign:
            await campaign.offer_numbers(["12125550105"])
            campaign.start()
            [end] = ends(await campaign.contacts(K.ENDED)).values()
    finally:
        carrier.resume()
    assert end.outcome is Outcome.FAILED
    await tester.hang_up(leg)


@pytest.mark.parametrize(("amd", "machine"), [("on", Outcome.MACHINE), ("agent_hears", Outcome.CONNECTED)])
async def test_answering_machines(
    servers: Servers, carrier: Carrier, tester: AmiSession, amd: str, machine: Outcome
) -> None:
    numbers = {"13035550101": machine, "13125550101": Outcome.CONNECTED, "17045550101": Outcome.CONNECTED}
    legs = await agents(tester, len(numbers), 2160)
    async with running(servers, channel=SIP, amd=amd) as campaign:
        await campaign.offer_numbers(list(numbers))
        campaign.start()
        talks = Counter(numbers.values())[Outcome.CONNECTED]
        connected = [event for event in await campaign.contacts(K.CONNECTED, talks) if event.kind is K.CONNECTED]
        for event in connected:
            await tester.hang_up(event.contact_id)
        ended = ends(await campaign.contacts(K.ENDED, len(numbers)))
    assert [ended[f"lead-{n}"].outcome for n in range(len(numbers))] == list(numbers.values())
    for leg in legs:
        await tester.hang_up(leg)


async def test_the_key_that_opts_out(servers: Servers, campaign: Campaign, tester: AmiSession) -> None:
    [leg] = await agents(tester, 1, 2170)
    await campaign.offer_numbers(["16155550190"])
    campaign.start()
    [attempt] = await campaign.contacts(K.ATTEMPTED)
    await tester.hang_up(leg)
    abandoned = await tester.event(UserEvent="Ringback", Stage="abandoned", CallID=attempt.contact_id)
    opted_out = await tester.event(UserEvent="Ringback", Stage="opted-out", CallID=attempt.contact_id)
    assert seconds(abandoned, opted_out) < 3
    await campaign.contacts(K.OPTED_OUT)
    assert (await campaign.contacts(K.ENDED))[-1].outcome is Outcome.ABANDONED
    await campaign.settled()
    again = lead(1, lead_id="again", phone="+16155550190", last_activity=NOON)
    assert await campaign.hopper.offer(again, NOON) is Offer.OPTED_OUT
    assert (await campaign.records())["lead-0"].message_played is False


async def test_the_record_says_what_was_heard_of_the_message(
    servers: Servers, campaign: Campaign, tester: AmiSession
) -> None:
    """All of it, or its beginning."""
    legs = await agents(tester, 2, 2180)
    async with ami_session(servers[0], Asterisk.user) as witness:
        await campaign.offer_numbers(["15755550100", "15755550101"])
        campaign.start()
        calls = {event.lead_id: event.contact_id for event in await campaign.contacts(K.ATTEMPTED, 2)}
        for leg in legs:
            await tester.hang_up(leg)
        await witness.event(UserEvent="Ringback", Stage="abandoned", CallID=calls["lead-1"])
        await tester.hang_up(calls["lead-1"])
        await campaign.contacts(K.ENDED, 2)
        await campaign.settled()
        played = [event["CallID"] for event in witness.events if event.get("Stage") == "safe-harbour-played"]
    records = await campaign.records()
    assert [(records[f"lead-{n}"].message, records[f"lead-{n}"].message_played) for n in range(2)] == [
        ("safe-harbour", True),
        ("safe-harbour", False),
    ]
    assert played == [calls["lead-0"]]


def told_of(seen: list[Message], call_id: str) -> dict[str, Message]:
    """What Asterisk told of a call, by event or stage."""
    ids = ("CallID", "Uniqueid", "DestUniqueid")
    mine = [event for event in seen if call_id in map(event.get, ids)]
    return {event.get("Stage", event["Event"]): event for event in mine}


def seconds(first: Message, second: Message) -> float:
    """By Asterisk's clock."""
    return float(second["Timestamp"]) - float(first["Timestamp"])


async def test_an_agents_disposition_is_recorded(campaign: Campaign, tester: AmiSession) -> None:
    leg = await tester.log_in_agent("2301")
    await campaign.offer(lead(1, phone="+12125550100"))
    campaign.start()
    connected = (await campaign.contacts(K.CONNECTED))[-1]
    assert connected.agent == "2301"
    await tester.disposition(connected.contact_id, "2301", "do_not_call")
    assert [event.kind for event in await campaign.contacts(K.OPTED_OUT)][-2:] == [K.DISPOSITION, K.OPTED_OUT]
    await campaign.contacts(K.ENDED)
    await campaign.settled()
    again = lead(1, lead_id="again", phone="+12125550100", last_activity=NOON)
    assert await campaign.hopper.offer(again, NOON) is Offer.OPTED_OUT
    await tester.hang_up(leg)


async def test_a_purchase_stops_the_ringing(campaign: Campaign, tester: AmiSession) -> None:
    leg = await tester.log_in_agent("2401")
    await campaign.offer(lead(1, phone="+12125550135"))
    campaign.start()
    [attempt] = await campaign.contacts(K.ATTEMPTED)
    await tester.event(Event="Newchannel", Uniqueid=attempt.contact_id)
    began = time.monotonic()
    await campaign.hopper.withdraw("shopper-1", "bought", NOON)
    await tester.event(Event="Hangup", Uniqueid=attempt.contact_id)
    assert time.monotonic() - began < 10
    kinds = [event.kind for event in await campaign.contacts(K.ENDED)]
    assert kinds == [K.ATTEMPTED, K.WITHDRAWN, K.ENDED]
    await tester.hang_up(leg)


async def test_a_restarted_dialer_finds_its_call_again(
    campaign: Campaign, tester: AmiSession, servers: Servers
) -> None:
    leg = await tester.log_in_agent("2501")
    await campaign.offer(lead(1, phone=PATIENT), lead(2, phone="+12125550124", priority=1))
    campaign.start()
    call = (await campaign.contacts(K.CONNECTED))[-1].contact_id
    await campaign.close()
    successor = Campaign(servers, campaign.name)
    successor.start()
    try:
        await until(lambda: call in successor.dialer._board.calls, "the call is adopted")
        await until(lambda: successor.dialer._board.calls[call].call.agent == "2501", "with its agent")
        await tester.hang_up(call)
        events = await successor.contacts(K.ENDED, 2)
        ends = {event.lead_id: event.outcome for event in events if event.kind is K.ENDED}
        assert ends == {"lead-1": Outcome.CONNECTED, "lead-2": Outcome.BUSY}
        assert sum(event.kind is K.ATTEMPTED for event in events) == 2
    finally:
        await successor.close()
    await tester.hang_up(leg)


async def test_asterisk_dies_and_nobody_is_called_twice(campaign: Campaign, asterisk: Asterisk) -> None:
    async with ami_session(asterisk) as session:
        await session.log_in_agent("2601")
        await session.log_in_agent("2602")
        await campaign.offer(lead(1, phone=PATIENT), lead(2, phone="+12125550135"))
        campaign.start()
        await campaign.contacts(K.CONNECTED)
        await campaign.contacts(K.ATTEMPTED, 2)
        asterisk.kill()
    await until(lambda: not campaign.dialer.ready["ami"], "the link is seen to be down")
    await asyncio.to_thread(asterisk.start)
    events = await campaign.contacts(K.ENDED, 2)
    assert {event.outcome for event in events if event.kind is K.ENDED} == {Outcome.UNKNOWN}
    async with ami_session(asterisk) as session:
        await session.log_in_agent("2601")
        await campaign.offer(lead(3, phone="+12125550157"))
        events = await campaign.contacts(K.ENDED, 3)
        attempts = [event.lead_id for event in events if event.kind is K.ATTEMPTED]
        assert sorted(attempts) == ["lead-1", "lead-2", "lead-3"]
        dialled = [event for event in session.events if event.get("Event") == "Newchannel"]
        numbers = {event.get("Exten") for event in dialled}
        assert not numbers & {PATIENT.removeprefix("+"), "12125550135"}
    await campaign.settled()
    assert await campaign.hopper.size() == 0

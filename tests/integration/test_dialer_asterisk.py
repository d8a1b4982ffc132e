"""The dialer on a real Asterisk: every outcome, and nobody called twice when Asterisk dies."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import pytest

from dialer.hopper import Hopper, Offer
from dialer.service import Dialer
from ringback.decisions import Lead
from ringback.metrics import DialerMetrics
from ringback.records import ContactEvent, ContactKind, Outcome
from ringback.redis_client import connect
from ringback.settings import Settings
from tests.dialer.leads import NOON, lead
from tests.dialer.waiting import until
from tests.dialer.world import read_contacts
from tests.servers.ami import AmiSession, ami_session
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.shoppers import Kind, behaviour

K = ContactKind
OUTCOMES = {
    Kind.HUMAN: Outcome.CONNECTED,
    Kind.BUSY: Outcome.BUSY,
    Kind.NO_ANSWER: Outcome.NO_ANSWER,
    Kind.CONGESTION: Outcome.CONGESTION,
    Kind.INVALID: Outcome.INVALID,
    Kind.DECLINED: Outcome.DECLINED,
}
PATIENT = "+19075550110"


class Campaign:
    """A dialer of a campaign of its own, on the real servers."""

    def __init__(self, asterisk: Asterisk, redis: Redis, kafka: Kafka, name: str | None = None) -> None:
        self.name = name or uuid4().hex[:12]
        self.settings = Settings.model_validate(
            {
                "ami": {
                    "host": asterisk.host,
                    "port": asterisk.port,
                    "user": asterisk.user,
                    "secret": asterisk.secret,
                    "ping_interval": 0.5,
                    "action_timeout": 2.0,
                    "reconnect_max": 0.5,
                },
                "redis": {"url": redis.url},
                "kafka": {"bootstrap": kafka.bootstrap},
                "simulation": {"enabled": True, "origin": NOON, "wall_origin": time.time()},
                "dialer": {
                    "campaign": self.name,
                    "channel": "Local/{number}@shoppers",
                    "wrap_up": 0.0,
                    "lease": 2.0,
                    "ring_timeout": 15.0,
                },
            }
        )
        self.redis = connect(self.settings.redis)
        self.hopper = Hopper(self.redis, self.name)
        self.dialer = Dialer(self.settings, self.redis, DialerMetrics())
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self.dialer.run())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.dialer.release()
        await self.redis.aclose()

    async def offer(self, *leads: Lead) -> None:
        for one in leads:
            assert await self.hopper.offer(one, NOON) is Offer.QUEUED

    async def contacts(self, last: ContactKind, count: int = 1) -> list[ContactEvent]:
        return await read_contacts(self.settings.kafka, self.name, last, count)

    async def settled(self) -> None:
        await until(lambda: not self.dialer._board.busy(), "all calls are settled")


@pytest.fixture
async def campaign(asterisk: Asterisk, redis_server: Redis, kafka: Kafka) -> AsyncIterator[Campaign]:
    made = Campaign(asterisk, redis_server, kafka)
    await made.redis.flushall()
    yield made
    await made.close()


async def test_every_outcome_is_what_the_shopper_did(campaign: Campaign, tester: AmiSession) -> None:
    numbers = {
        "+12125550150": Kind.HUMAN,
        "+12125550124": Kind.BUSY,
        "+12125550135": Kind.NO_ANSWER,
        "+12125550146": Kind.CONGESTION,
        "+12125550157": Kind.INVALID,
        "+12125550118": Kind.DECLINED,
    }
    assert {number: behaviour(number).kind for number in numbers} == numbers
    agents = [f"21{n:02}" for n in range(len(numbers))]
    legs = [await tester.log_in_agent(agent) for agent in agents]
    await campaign.offer(*(lead(n, phone=number) for n, number in enumerate(numbers)))
    campaign.start()
    events = await campaign.contacts(K.ENDED, len(numbers))
    ends = {event.lead_id: event for event in events if event.kind is K.ENDED}
    for n, kind in enumerate(numbers.values()):
        assert (kind, ends[f"lead-{n}"].outcome) == (kind, OUTCOMES[kind])
    talk = ends["lead-0"]
    assert talk.agent in agents
    assert talk.wait_seconds is not None
    assert talk.wait_seconds < 1.8
    assert talk.talk_seconds is not None
    assert talk.talk_seconds > 1
    attempted = [event.contact_id for event in events if event.kind is K.ATTEMPTED]
    assert len(attempted) == len(set(attempted)) == len(numbers)
    await campaign.settled()
    for leg in legs:
        await tester.hang_up(leg)


async def test_an_agent_who_leaves_makes_an_abandoned_call(campaign: Campaign, tester: AmiSession) -> None:
    leg = await tester.log_in_agent("2201")
    # Rings for 0.9 s, time enough for the agent to go, and listens to the whole message.
    await campaign.offer(lead(1, phone="+19075550190"))
    campaign.start()
    [attempt] = await campaign.contacts(K.ATTEMPTED)
    await tester.hang_up(leg)
    await tester.event(UserEvent="Ringback", Stage="safe-harbour-played", CallID=attempt.contact_id)
    assert (await campaign.contacts(K.ENDED))[-1].outcome is Outcome.ABANDONED


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
    campaign: Campaign, tester: AmiSession, asterisk: Asterisk, redis_server: Redis, kafka: Kafka
) -> None:
    leg = await tester.log_in_agent("2501")
    await campaign.offer(lead(1, phone=PATIENT), lead(2, phone="+12125550124", priority=1))
    campaign.start()
    call = (await campaign.contacts(K.CONNECTED))[-1].contact_id
    await campaign.close()
    successor = Campaign(asterisk, redis_server, kafka, campaign.name)
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

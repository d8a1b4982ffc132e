"""The record of each call, dispositions and callbacks, from Asterisk's events to Kafka and Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from dialer.calls import Call, Hangup
from dialer.hopper import Offer, Reserved
from dialer.ledger import record
from ringback.call_records import CallEntry, CallRecord, ReportRecord
from ringback.records import ContactKind, Disposition, Outcome, Topic
from ringback.settings import RedisSettings, Settings
from tests.dialer.leads import NOON, lead
from tests.dialer.waiting import PATIENCE_S, until
from tests.dialer.world import PARTITIONS, World
from tests.servers.embedded import EmbeddedKafka

K = ContactKind
HOUR = 3600.0
_decode = msgspec.json.Decoder(CallEntry).decode


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker, caller_id="+12125550199")
    await made.open()
    yield made
    await made.close()


async def entries(world: World, count: int) -> list[CallEntry]:
    """What is on record of this campaign, once there is so much."""
    kafka = world.settings().kafka
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(Topic.CALLS.value, n) for n in range(PARTITIONS)])
    found: list[CallEntry] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                one = await consumer.getone()
                entry = _decode(one.value)
                if entry.campaign == world.campaign:
                    assert one.key == entry.shopper_id.encode()
                    found.append(entry)
    finally:
        await consumer.stop()
    return found


async def talked(world: World, agent: str = "7") -> str:
    """A call to lead 1 that is over."""
    await world.start()
    await world.offer(lead(1, consent_evidence="checkout, box ticked", consent_captured=NOON - HOUR))
    await world.agent(agent)
    call = await world.originated()
    world.response(call)
    world.stage(call, "answered")
    await world.pbx.wait_for("Redirect")
    world.stage(call, "connected", Agent=agent)
    world.hangup(call)
    await world.contacts(K.ENDED)
    await settled(world)
    return call


async def settled(world: World) -> None:
    await until(lambda: world.dialer and not world.dialer._board.busy(), "all is settled")


def report(world: World, call: str, disposition: str, agent: str = "7", **more: object) -> None:
    world.pbx.user_event("RingbackDisposition", CallID=call, Agent=agent, Disposition=disposition, **more)


def rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


async def test_a_call_is_on_record(world: World) -> None:
    call = await talked(world)
    (entry,) = await entries(world, 1)
    assert isinstance(entry, CallRecord)
    assert (entry.call_id, entry.outcome, entry.agent) == (call, Outcome.CONNECTED, "7")
    assert (entry.calling_number, entry.called_number) == ("+12125550199", lead(1).phone)
    assert (entry.lead_id, entry.cart_id, entry.country) == ("lead-1", "cart-1", "US")
    assert (entry.consent_evidence, entry.consent_captured) == ("checkout, box ticked", NOON - HOUR)
    assert entry.answered is not None
    assert entry.connected is not None
    assert NOON <= entry.placed <= entry.answered <= entry.connected <= entry.ended < NOON + PATIENCE_S
    assert entry.duration == pytest.approx(entry.ended - entry.placed)
    assert entry.purpose
    assert entry.rules
    assert entry.simulated
    assert entry.message is None


async def test_what_the_agent_says_is_on_record(world: World) -> None:
    call = await talked(world)
    report(world, call, "sale")
    report(world, call, "no such thing")
    report(world, "0" * 32, "sale")
    _, said = await entries(world, 2)
    assert isinstance(said, ReportRecord)
    assert (said.call_id, said.agent, said.disposition) == (call, "7", Disposition.SALE)
    assert (await world.contacts(K.DISPOSITION))[-1].contact_id == call


async def test_a_disposition_after_a_restart_is_kept(world: World) -> None:
    call = await talked(world)
    await world.kill()
    await world.start()
    await until(lambda: world.dialer and world.dialer.ready["ami"], "the link to Asterisk")
    report(world, call, "not_interested")
    said = (await entries(world, 2))[1]
    assert isinstance(said, ReportRecord)
    assert said.disposition is Disposition.NOT_INTERESTED
    assert (await world.contacts(K.DISPOSITION))[-1].lead_id == "lead-1"


async def test_a_shopper_is_called_back_by_the_agent_who_promised_it(world: World) -> None:
    call = await talked(world)
    at = NOON + 26 * HOUR  # a Monday, in the morning of all of the country
    report(world, call, "callback", CallbackAt=rfc3339(at), CallbackAgent="7")
    said = (await entries(world, 2))[1]
    assert isinstance(said, ReportRecord)
    assert said.callback == at
    await settled(world)
    assert await world.hopper.size() == 1
    await world.kill()
    assert await world.hopper.acquire_lease("test", 60)
    assert await world.hopper.reserve(["c" * 32], at - 1, "test", 30.0, ["7"]) == []
    (found,) = await world.hopper.reserve(["c" * 32], at + 1, "test", 30.0, ["7"])
    assert isinstance(found, Reserved)
    assert (found.lead.lead_id, found.lead.agent, found.agent) == ("lead-1", "7", "7")


@pytest.mark.parametrize("when", [None, "tomorrow", rfc3339(NOON - 2 * HOUR), rfc3339(NOON + 90 * 86400)])
async def test_a_callback_that_can_not_be_kept_is_told(
    world: World, caplog: pytest.LogCaptureFixture, when: str | None
) -> None:
    call = await talked(world)
    report(world, call, "callback", **({} if when is None else {"CallbackAt": when}))
    await until(lambda: "callback" in caplog.text and "not made" in caplog.text, "the warning")
    await settled(world)
    assert await world.hopper.size() == 0


async def test_a_wrong_number_is_never_called_again(world: World) -> None:
    call = await talked(world)
    report(world, call, "wrong_number")
    await entries(world, 2)
    await settled(world)
    assert await world.hopper.offer(lead(9, phone=lead(1).phone), NOON) is Offer.DO_NOT_CALL


async def abandoned(world: World) -> str:
    """A call whose message has begun."""
    await world.start()
    await world.offer(lead(1))
    await world.agent("7")
    call = await world.originated()
    await world.agent("7", "gone")
    world.stage(call, "answered")
    world.stage(call, "abandoned")
    return call


@pytest.mark.parametrize(
    ("status", "message", "played"),
    [("SUCCESS", "safe-harbour", True), (None, "safe-harbour", False), ("FAILED", None, False)],
)
async def test_what_was_heard_of_the_message_is_on_record(
    world: World, caplog: pytest.LogCaptureFixture, status: str | None, message: str | None, played: bool
) -> None:
    call = await abandoned(world)
    if status:
        world.stage(call, "safe-harbour-played", Status=status)
    world.hangup(call)
    (entry,) = await entries(world, 1)
    assert isinstance(entry, CallRecord)
    assert (entry.outcome, entry.message, entry.message_played) == (Outcome.ABANDONED, message, played)
    assert ("RINGBACK_SAFE_HARBOUR" in caplog.text) is (status == "FAILED")


async def test_what_was_said_while_the_link_was_down_is_not_known(world: World) -> None:
    call = await abandoned(world)
    await until(lambda: world.dialer and world.dialer._board.calls[call].call.message_begun, "the message begins")
    world.pbx.cut()
    await until(lambda: world.dialer and world.dialer._board.calls[call].call.missed, "the link is down")
    world.pbx.channels.append({"Uniqueid": call, "Context": "ringback-safe-harbour", "ChannelStateDesc": "Up"})
    await until(lambda: world.dialer and world.dialer.ready["ami"], "the link is up")
    world.hangup(call)
    (entry,) = await entries(world, 1)
    assert isinstance(entry, CallRecord)
    assert (entry.outcome, entry.message, entry.message_played) == (Outcome.ABANDONED, "safe-harbour", None)


async def test_an_abandoned_call_locks_the_number(world: World) -> None:
    world.hangup(await abandoned(world))
    await entries(world, 1)
    await settled(world)
    newer = {"lead_id": "newer", "last_activity": NOON + HOUR, "callable_until": NOON + 71 * HOUR}
    assert await world.hopper.offer(lead(1, **newer), NOON + HOUR) is Offer.LOCKOUT


def test_times_are_business_time() -> None:
    clock = {"enabled": True, "origin": NOON, "wall_origin": 1000.0, "speed": 60.0}
    settings = Settings.model_validate(
        {"simulation": clock, "dialer": {"channel": "Local/{number}@x"}, "outreach": {"shop_name": "Acme"}}
    )
    over = Call("c" * 32, answered_at=1010.0, connected_at=1011.0, hangup=Hangup(16, "Up", 1041.0), outcome=None)
    found = record(over, lead(1), NOON, NOON + 41 * 60, settings)
    assert (found.answered, found.connected) == (NOON + 600, NOON + 660)
    assert (found.duration, found.talk_seconds, found.wait_seconds) == (41.0, 30.0, 1.0)
    assert (found.outcome, found.seller) == (Outcome.UNKNOWN, "Acme")

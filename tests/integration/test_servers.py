"""The servers that the other integration tests stand on do what those tests take for granted."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis as RedisClient

from ringback.settings import Settings
from tests.integration import topics
from tests.servers.ami import AmiError, AmiSession, Message, ami_session
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.process import wait_until
from tests.servers.redis import Redis
from tests.servers.shoppers import Kind, behaviour

SAFE_HARBOUR_WITHIN_S = 2.0
ORIGINATE_TIMEOUT_MS = 1500
HUMAN = "12125550150"
PATIENT = "19075550110"
BY_KIND = {
    Kind.HUMAN: HUMAN,
    Kind.BUSY: "12125550124",
    Kind.NO_ANSWER: "12125550135",
    Kind.CONGESTION: "12125550146",
    Kind.INVALID: "12125550157",
    Kind.DECLINED: "12125550118",
    Kind.HANGS_UP_EARLY: "12125550119",
}


async def originate(session: AmiSession, number: str, channel: str = "Local/{number}@shoppers") -> str:
    """Place a call as the dialer does; the call's id, which is also its channel's."""
    call = uuid4().hex
    await session.action(
        "Originate",
        f"RINGBACK_CALL_ID={call}",
        Channel=channel.format(number=number),
        ChannelId=call,
        Context="ringback-answered",
        Exten="s",
        Priority=1,
        Timeout=ORIGINATE_TIMEOUT_MS,
        Async="true",
    )
    return call


async def stage(session: AmiSession, call: str, name: str) -> Message:
    return await session.event(UserEvent="Ringback", Stage=name, CallID=call)


def seconds_between(first: Message, second: Message) -> float:
    """By Asterisk's own clock."""
    return float(second["Timestamp"]) - float(first["Timestamp"])


async def read_all(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def write(kafka: Kafka, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


@pytest.mark.parametrize("interrupt", [Kafka.stop, Kafka.kill])
async def test_kafka_keeps_what_it_acknowledged_when_it_comes_back(
    kafka: Kafka, interrupt: Callable[[Kafka], None]
) -> None:
    topic = f"servers-{uuid4().hex}"
    await topics.create(kafka.bootstrap, topic)
    await write(kafka, topic, b"before", b"also before")

    await asyncio.to_thread(interrupt, kafka)
    await asyncio.to_thread(kafka.start)

    await write(kafka, topic, b"after")
    assert await read_all(kafka, topic, 3) == [b"before", b"also before", b"after"]


@pytest.mark.parametrize("interrupt", [Redis.stop, Redis.kill])
async def test_redis_keeps_what_it_acknowledged_when_it_comes_back(
    redis_server: Redis, interrupt: Callable[[Redis], None]
) -> None:
    key = f"servers:{uuid4().hex}"
    async with RedisClient.from_url(redis_server.url) as client:
        await client.set(key, "kept")

    await asyncio.to_thread(interrupt, redis_server)
    await asyncio.to_thread(redis_server.start)

    async with RedisClient.from_url(redis_server.url) as client:
        assert await client.get(key) == b"kept"


async def test_asterisk_starts_without_a_complaint(asterisk: Asterisk) -> None:
    await asyncio.to_thread(wait_until, lambda: "Asterisk Ready." in asterisk.log_since_start(), "Asterisk is ready")
    log = asterisk.log_since_start()
    assert "WARNING" not in log
    assert "ERROR" not in log


async def test_asterisk_comes_back_on_the_same_port_after_a_crash(asterisk: Asterisk) -> None:
    await asyncio.to_thread(asterisk.kill)
    await asyncio.to_thread(asterisk.start)
    async with ami_session(asterisk, asterisk.user) as dialer:
        assert (await dialer.action("Ping"))["Ping"] == "Pong"


@pytest.mark.parametrize("number", BY_KIND.values(), ids=BY_KIND)
async def test_the_far_end_does_what_the_number_says(asterisk: Asterisk, number: str) -> None:
    expected = behaviour(number)
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, number)
        response = await dialer.event(Event="OriginateResponse", Uniqueid=call)
        assert response["Response"] == ("Success" if expected.answers else "Failure")
        hangup = await dialer.event(Event="Hangup", Uniqueid=call)

    reason = {True: "4", False: "3" if expected.kind is Kind.NO_ANSWER else "0"}[expected.answers]
    assert response["Reason"] == reason
    assert hangup["Cause"] == str(expected.cause)
    if expected.kind is Kind.NO_ANSWER:
        assert hangup["ChannelStateDesc"] == "Ringing"
    if expected.talk_ms is not None:
        assert seconds_between(response, hangup) == pytest.approx(expected.talk_ms / 1000, abs=0.3)


async def test_the_dialer_sees_only_the_events_it_needs(asterisk: Asterisk) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, BY_KIND[Kind.HANGS_UP_EARLY])
        await dialer.event(Event="Hangup", Uniqueid=call)
        listing = await dialer.action("CoreShowChannels")
        await dialer.event(Event="CoreShowChannelsComplete", ActionID=listing["ActionID"])
        seen = {event["Event"] for event in dialer.events}
        far_half = [event for event in dialer.events if event.get("Channel", "").endswith(";2")]

    assert seen <= {"FullyBooted", "DialState", "OriginateResponse", "UserEvent", "Hangup", "CoreShowChannelsComplete"}
    assert not far_half


async def test_an_originate_is_seen_among_the_channels_until_it_ends(asterisk: Asterisk, tester: AmiSession) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, PATIENT)
        await stage(dialer, call, "answered")
        listing = await dialer.action("CoreShowChannels")
        shown = await dialer.event(Event="CoreShowChannel", Uniqueid=call, ActionID=listing["ActionID"])
        assert shown["ChannelStateDesc"] == "Up"
        await dialer.action("Hangup", Channel=call)
        await tester.event(Event="Hangup", Uniqueid=call)


async def test_without_a_trunk_nothing_leaves_this_asterisk(asterisk: Asterisk) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, HUMAN, Settings().dialer.channel)
        response = await dialer.event(Event="OriginateResponse", Uniqueid=call)
    assert (response["Response"], response["Reason"]) == ("Failure", "0")


@pytest.mark.parametrize(
    "action", [{"Application": "System", "Data": "true"}, {"Application": "Exec", "Data": "System(true)"}]
)
async def test_the_dialer_cannot_run_programs(asterisk: Asterisk, action: dict[str, str]) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        with pytest.raises(AmiError):
            await dialer.action("Originate", Channel=f"Local/{HUMAN}@shoppers", Async="true", **action)
        with pytest.raises(AmiError):
            await dialer.action("Command", Command="core show version")
        with pytest.raises(AmiError):
            await dialer.action("GetConfig", Filename="manager.conf")


@pytest.mark.parametrize("secret", ["", "wrong"])
async def test_a_user_without_the_secret_is_refused(asterisk: Asterisk, secret: str) -> None:
    reader, writer = await asyncio.open_connection(asterisk.host, asterisk.port)
    session = AmiSession(reader, writer)
    try:
        with pytest.raises(AmiError, match="Authentication failed"):
            await session.action("Login", Username=asterisk.user, Secret=secret)
    finally:
        await session.close()


async def test_an_answered_shopper_is_connected_to_the_agent(asterisk: Asterisk, tester: AmiSession) -> None:
    agent = await tester.log_in_agent("101")
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, HUMAN)
        await stage(dialer, call, "answered")
        await dialer.action("Redirect", Channel=call, Context="ringback-connect", Exten="101", Priority=1)
        connected = await stage(dialer, call, "connected")
        assert connected["Agent"] == "101"
        await tester.event(Event="BridgeEnter", BridgeNumChannels="2", Uniqueid=call)
        hangup = await dialer.event(Event="Hangup", Uniqueid=call)
        assert hangup["Cause"] == "16"
        await tester.disposition(call, "101", "SALE")
        disposition = await dialer.event(UserEvent="RingbackDisposition", CallID=call)
        assert (disposition["Agent"], disposition["Disposition"]) == ("101", "SALE")

        await tester.hang_up(agent)
        await dialer.event(UserEvent="RingbackAgent", Agent="101", State="gone")


async def test_a_shopper_nobody_takes_hears_the_message_in_time(asterisk: Asterisk) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, PATIENT)
        answered = await stage(dialer, call, "answered")
        abandoned = await stage(dialer, call, "abandoned")
        played = await stage(dialer, call, "safe-harbour-played")
        remembered = await dialer.action("Getvar", Variable="RINGBACK_ABANDONED")
        await dialer.event(Event="Hangup", Uniqueid=call, Cause="16")

    assert seconds_between(answered, abandoned) < SAFE_HARBOUR_WITHIN_S
    assert played["Status"] == "SUCCESS"
    assert remembered["Value"].split()[0] == call
    assert seconds_between(abandoned, played) > 1


async def test_a_shopper_sent_to_an_absent_agent_hears_the_message(asterisk: Asterisk) -> None:
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, PATIENT)
        answered = await stage(dialer, call, "answered")
        await dialer.action("Redirect", Channel=call, Context="ringback-connect", Exten="999", Priority=1)
        abandoned = await stage(dialer, call, "abandoned")
        await dialer.action("Hangup", Channel=call)
        await dialer.event(Event="Hangup", Uniqueid=call)

    assert seconds_between(answered, abandoned) < SAFE_HARBOUR_WITHIN_S


async def test_two_shoppers_never_share_an_agent(asterisk: Asterisk, tester: AmiSession) -> None:
    agent = await tester.log_in_agent("102")
    async with ami_session(asterisk, asterisk.user) as dialer:
        calls = [await originate(dialer, PATIENT) for _ in range(2)]
        for call in calls:
            await stage(dialer, call, "answered")
        await asyncio.gather(
            *(
                dialer.action("Redirect", Channel=call, Context="ringback-connect", Exten="102", Priority=1)
                for call in calls
            )
        )
        connected = await dialer.event(UserEvent="Ringback", Stage="connected", Agent="102")
        (other,) = set(calls) - {connected["CallID"]}
        await stage(dialer, other, "abandoned")
        for call in calls:
            await dialer.action("Hangup", Channel=call)
            await dialer.event(Event="Hangup", Uniqueid=call)

        third = await originate(dialer, HUMAN)
        await stage(dialer, third, "answered")
        await dialer.action("Redirect", Channel=third, Context="ringback-connect", Exten="102", Priority=1)
        await stage(dialer, third, "connected")
        await dialer.event(Event="Hangup", Uniqueid=third)
    await tester.hang_up(agent)


@pytest.mark.parametrize(
    ("pause", "then"), [(None, "107"), (0.0, "107"), (0.005, "107"), (0.01, "107"), (0.01, "106"), (0.5, "107")]
)
async def test_a_shopper_who_is_sent_to_an_agent_twice_stays_with_the_first(
    asterisk: Asterisk, tester: AmiSession, pause: float | None, then: str
) -> None:
    """As two dialers do that both think they have the campaign; the other agent has the next shopper.

    The second redirect comes together with the first (None), or so many seconds after its answer: before the shopper is
    with the agent, on the way there, or in the middle of the talk.
    """
    legs = {agent: await tester.log_in_agent(agent) for agent in ("106", "107")}
    async with ami_session(asterisk, asterisk.user) as dialer, ami_session(asterisk, asterisk.user) as other:
        for _ in range(5):
            call = await originate(dialer, PATIENT)
            await stage(dialer, call, "answered")
            to = {"Channel": call, "Context": "ringback-connect", "Priority": 1}
            one = dialer.action("Redirect", Exten="106", **to)
            two = other.action("Redirect", Exten=then, **to)
            if pause is None:
                await asyncio.gather(one, two, return_exceptions=True)
            else:
                await one
                await asyncio.sleep(pause)
                # Asterisk refuses it while the first is not carried out yet.
                with suppress(AmiError):
                    await two
            first = (await stage(dialer, call, "connected"))["Agent"]
            assert first == "106" or (pause or 0) < 0.5
            assert await settled_with(tester, call, legs) == first
            (idle,) = set(legs) - {first}

            # The other agent is free for the next shopper, and the first one afterwards.
            for agent in (idle, first):
                following = await originate(dialer, PATIENT)
                await stage(dialer, following, "answered")
                await dialer.action("Redirect", Channel=following, Context="ringback-connect", Exten=agent, Priority=1)
                assert (await stage(dialer, following, "connected"))["Agent"] == agent
                assert await settled_with(tester, following, legs) == agent
                await tester.hang_up(following)
                await dialer.event(Event="Hangup", Uniqueid=following)
                if agent == idle:
                    assert await settled_with(tester, call, legs) == first
                    stages = [event for event in dialer.events if event.get("CallID") == call]
                    assert {event.get("Agent") for event in stages if event["Stage"] == "connected"} == {first}
                    assert "abandoned" not in {event["Stage"] for event in stages}
                    await tester.hang_up(call)
                    await dialer.event(Event="Hangup", Uniqueid=call)


async def settled_with(session: AmiSession, call: str, legs: dict[str, str]) -> str:
    """The agent whose leg is in the same bridge as a call, once there is one; they stay there for a moment."""
    for _ in range(200):
        listing = await session.action("CoreShowChannels")
        await session.event(Event="CoreShowChannelsComplete", ActionID=listing["ActionID"])
        shown = [event for event in session.events if event.get("ActionID") == listing["ActionID"]]
        bridges = {event["Uniqueid"]: event.get("BridgeId") for event in shown if event["Event"] == "CoreShowChannel"}
        together = [
            agent for agent, leg in legs.items() if bridges.get(call) and bridges[call] == bridges.get(f"{leg};2")
        ]
        if together:
            return together[0]
        await asyncio.sleep(0.02)
    raise TimeoutError(f"call {call} is with nobody: {bridges}")


@pytest.mark.parametrize("half", ["", ";2"], ids=["the dialer", "the shopper"])
async def test_an_agent_has_the_next_shopper_the_moment_the_last_is_gone(
    asterisk: Asterisk, tester: AmiSession, half: str
) -> None:
    leg = await tester.log_in_agent("105")
    async with ami_session(asterisk, asterisk.user) as dialer:
        last = None
        for _ in range(6):
            call = await originate(dialer, PATIENT)
            await stage(dialer, call, "answered")
            if last:
                await tester.hang_up(last + half)
                await dialer.event(Event="Hangup", Uniqueid=last)
            await dialer.action("Redirect", Channel=call, Context="ringback-connect", Exten="105", Priority=1)
            await tester.event(Event="BridgeEnter", BridgeNumChannels="2", Uniqueid=call)
            last = call
        assert not [event for event in dialer.events if event.get("Stage") == "abandoned"]
        await tester.hang_up(call)
        await dialer.event(Event="Hangup", Uniqueid=call)
        listing = await dialer.action("CoreShowChannels")
        rests = await dialer.event(Event="CoreShowChannel", Uniqueid=f"{leg};2", ActionID=listing["ActionID"])
        assert rests["Application"] in {"BridgeWait", "Goto"}
    await tester.hang_up(leg)
    await tester.event(UserEvent="RingbackAgent", Agent="105", State="gone")


async def test_a_shopper_is_not_left_alone_when_the_agent_goes(asterisk: Asterisk, tester: AmiSession) -> None:
    agent = await tester.log_in_agent("103")
    async with ami_session(asterisk, asterisk.user) as dialer:
        call = await originate(dialer, PATIENT)
        await stage(dialer, call, "answered")
        await dialer.action("Redirect", Channel=call, Context="ringback-connect", Exten="103", Priority=1)
        await tester.event(Event="BridgeEnter", BridgeNumChannels="2", Uniqueid=call)
        await tester.hang_up(agent)
        await dialer.event(Event="Hangup", Uniqueid=call)


async def test_an_agent_cannot_log_in_twice_but_can_come_back(asterisk: Asterisk, tester: AmiSession) -> None:
    first = await tester.log_in_agent("104")
    second = uuid4().hex
    await tester.action(
        "Originate",
        Channel="Local/104@ringback-agent",
        ChannelId=second,
        Application="Wait",
        Data="60",
        Async="true",
    )
    assert (await tester.event(Event="Hangup", Uniqueid=second))["Cause"] == "17"
    assert not [e for e in tester.events if e.get("State") == "gone" and e.get("Agent") == "104"]
    await tester.hang_up(first)
    await tester.event(UserEvent="RingbackAgent", Agent="104", State="gone")
    await tester.hang_up(await tester.log_in_agent("104"))

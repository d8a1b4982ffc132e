"""Several Asterisk servers, or several trunks, of one campaign."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dialer.breaker import RUN
from ringback.records import ContactKind, Outcome
from ringback.settings import RedisSettings
from tests.dialer.leads import lead
from tests.dialer.waiting import until
from tests.dialer.world import Pbx, World
from tests.servers.embedded import EmbeddedKafka

K = ContactKind


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker, servers=2)
    await made.open()
    yield made
    await made.close()


async def connected(pbx: Pbx, agent: str, count: int = 1) -> str:
    """The ``count``-th call of a server is answered and goes to an agent there."""
    call = (await pbx.wait_for("Originate", count))["ChannelId"]
    pbx.stage(call, "answered")
    redirect = await pbx.wait_for("Redirect", count)
    assert (redirect["Channel"], redirect["Exten"]) == (call, agent)
    pbx.stage(call, "connected", Agent=agent)
    return call


async def test_an_answered_call_goes_to_an_agent_on_the_same_server(world: World) -> None:
    a, b = world.pbxs
    await world.start()
    await a.agent("7", "ready")
    await b.agent("8", "ready")
    await world.offer(lead(1), lead(2), lead(3))
    first, second = await connected(a, "7"), await connected(b, "8")
    a.hangup(first)
    await connected(a, "7", 2)
    b.hangup(second)
    ends = [event for event in await world.contacts(K.ENDED, 2) if event.kind is K.ENDED]
    assert {(event.agent, event.outcome) for event in ends} == {("7", Outcome.CONNECTED), ("8", Outcome.CONNECTED)}


async def test_calls_are_made_only_where_agents_are(world: World) -> None:
    a, b = world.pbxs
    await world.start()
    await b.agent("8", "ready")
    await world.offer(lead(1), lead(2))
    await connected(b, "8")
    assert a.actions("Originate") == []


async def test_one_link_down_stops_only_its_share(world: World) -> None:
    a, b = world.pbxs
    dialer = await world.start()
    await a.agent("7", "ready")
    await b.agent("8", "ready")
    await world.offer(lead(1))
    await until(lambda: a.actions("Originate") or b.actions("Originate"), "the call")
    pbx, other, agent = (a, b, "8") if a.actions("Originate") else (b, a, "7")
    ringing = pbx.actions("Originate")[0]["ChannelId"]
    await pbx.stop()
    await until(lambda: not all(server.ami.connected for server in dialer._servers.values()), "the link is down")
    assert dialer.ready["ami"]
    await world.offer(lead(2))
    call = await connected(other, agent)
    assert set(dialer._board.calls) == {ringing, call}
    # It comes back with the call still there.
    pbx.channels.append({"Uniqueid": ringing, "ChannelStateDesc": "Ringing"})
    await pbx.start()
    await until(lambda: all(server.usable for server in dialer._servers.values()), "the link is back")
    pbx.response(ringing, reason=5)
    pbx.hangup(ringing, cause=0, state="Ringing")
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.BUSY


async def test_a_server_that_hangs_keeps_no_other_waiting(world: World) -> None:
    a, b = world.pbxs
    dialer = await world.start()
    await a.agent("7", "ready")
    await b.agent("8", "ready")
    a.frozen = True
    await world.offer(lead(1), lead(2), lead(3))
    call = await connected(b, "8")
    b.hangup(call)
    await connected(b, "8", 2)
    assert dialer._what_hinders() is None


async def test_a_call_of_a_dead_dialer_is_looked_for_on_every_server(world: World) -> None:
    a, b = world.pbxs
    await world.start()
    await b.agent("8", "ready")
    await world.offer(lead(1))
    call = await connected(b, "8")
    await world.contacts(K.CONNECTED)
    await world.kill()
    b.channels.append({**b.channels[0], "Uniqueid": call, "Context": "ringback-connect", "Application": "Bridge"})
    dialer = await world.start()
    await until(lambda: call in dialer._board.calls and dialer._board.calls[call].server == "b", "it is found")
    b.hangup(call)
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.CONNECTED
    assert a.actions("Originate") == []


async def test_a_dead_trunk_leaves_the_calls_to_the_other(redis_settings: RedisSettings, broker: EmbeddedKafka) -> None:
    trunks = {name: {"channel": f"Local/{{number}}@{name}", "calls_per_second": 100.0} for name in ("dead", "good")}
    world = World(redis_settings, broker, trunks=trunks)
    await world.open()
    try:
        dialer = await world.start()
        await world.agent("7")
        await world.offer(*(lead(n) for n in range(3 * RUN)))
        count = 0
        while not dialer._servers["asterisk"].trunks["dead"].breaker.is_open:
            count += 1
            call = await world.originated(count)
            dead = world.pbx.actions("Originate")[count - 1]["Channel"].endswith("@dead")
            world.response(call, reason=3 if dead else 5)
            world.hangup(call, cause=19 if dead else 0, state="Down" if dead else "Ringing")
            await until(lambda: not dialer._board.busy(), "it is over")
        await world.originated(count + 1)
        assert world.pbx.actions("Originate")[count]["Channel"].endswith("@good")
    finally:
        await world.close()

"""Two dialers of one campaign: one dials, the other takes over, and nobody is called twice."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dialer import reconcile
from dialer.service import Dialer
from ringback.dialer_settings import DialerSettings
from ringback.records import ContactKind, Outcome
from ringback.settings import RedisSettings
from tests.dialer.leads import lead
from tests.dialer.waiting import until
from tests.dialer.world import World, talk
from tests.servers.embedded import EmbeddedKafka

K = ContactKind
log = logging.getLogger(__name__)
TAKEOVER_SECONDS = 5.0


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker, lease=DialerSettings().lease)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def quick(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    """The same with a lease that does not keep a test waiting."""
    made = World(redis_settings, broker, lease=0.8)
    await made.open()
    yield made
    await made.close()


async def standby(world: World) -> Dialer:
    dialer = await world.start()
    await until(lambda: "another dialer" in str(dialer._said), "it stands by")
    return dialer


def assert_nobody_twice(world: World) -> None:
    calls = Counter(action["Channel"] for pbx in world.pbxs for action in pbx.actions("Originate"))
    assert set(calls.values()) <= {1}


async def test_a_standby_dials_within_five_seconds(world: World) -> None:
    """The dialer dies with one call that talks and one that rings; a third lead waits for the other agent."""
    await world.start()
    for agent in ("7", "8"):
        await world.agent(agent)
    await world.offer(lead(1))
    talking = await world.originated(1)
    world.stage(talking, "answered")
    busy = (await world.pbx.wait_for("Redirect"))["Exten"]
    world.stage(talking, "connected", Agent=busy)
    await world.contacts(K.CONNECTED)
    await world.offer(lead(2))
    ringing = await world.originated(2)
    second = await standby(world)
    world.pbx.channels += [talk(talking, busy), {"Uniqueid": ringing, "ChannelStateDesc": "Ringing"}]
    await world.agent("9")
    await world.offer(lead(3))

    died = time.monotonic()
    await world.crash()
    third = await world.originated(3)
    took = time.monotonic() - died
    log.info("took over after %.2f s", took)
    assert took < TAKEOVER_SECONDS
    assert set(second._board.calls) == {talking, ringing, third}

    world.hangup(talking)
    world.response(ringing, reason=3)
    world.hangup(ringing, cause=19, state="Ringing")
    world.response(third, reason=5)
    world.hangup(third, cause=0, state="Ringing")
    ends = {event.contact_id: event.outcome for event in await world.contacts(K.ENDED, 3) if event.kind is K.ENDED}
    assert ends == {talking: Outcome.CONNECTED, ringing: Outcome.NO_ANSWER, third: Outcome.BUSY}
    assert_nobody_twice(world)


async def test_a_dialer_that_lost_the_campaign_leaves_its_calls_to_the_other(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await quick.start()
    await quick.offer(lead(1))
    await quick.agent("7")
    call = await quick.originated()
    await quick.contacts(K.ATTEMPTED)
    second = await standby(quick)
    quick.pbx.channels.append({"Uniqueid": call, "ChannelStateDesc": "Ringing"})
    # The first one is paused for so long that the other takes over.
    awake, acquire = asyncio.Event(), first._hopper.acquire_lease

    async def late(token: str, seconds: float) -> bool:
        await awake.wait()
        return await acquire(token, seconds)

    monkeypatch.setattr(first._hopper, "acquire_lease", late)
    await until(lambda: call in second._board.calls, "the other has the call")
    awake.set()
    await until(lambda: not first._board.calls, "the first has let go")
    quick.stage(call, "answered")
    await quick.pbx.wait_for("Redirect")
    quick.stage(call, "connected", Agent="7")
    quick.hangup(call)
    events = await quick.contacts(K.ENDED)
    assert [event.kind for event in events] == [K.ATTEMPTED, K.ANSWERED, K.CONNECTED, K.ENDED]
    assert len(quick.pbx.actions("Redirect")) == 1


async def hang(*_: Any, **__: Any) -> None:
    await asyncio.Event().wait()


# Where the first dialer stands still until it dies, and what becomes of its lead.
MOMENTS: dict[str, tuple[Callable[[Dialer], tuple[object, str]], Outcome | None]] = {
    "reserved": (lambda dialer: (dialer._launcher, "call"), None),
    "on record": (lambda dialer: (dialer._hopper, "launch"), None),
    "launched": (lambda dialer: (dialer._launcher, "_originate"), Outcome.UNKNOWN),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_dialer_that_dies_before_the_originate(
    quick: World, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MISSING_SECONDS", 0.1)
    where, outcome = MOMENTS[moment]
    first = await quick.start()
    there = asyncio.Event()

    async def stand_still(*_: Any, **__: Any) -> None:
        there.set()
        await hang()

    monkeypatch.setattr(*where(first), stand_still)
    await quick.offer(lead(1))
    await quick.agent("7")
    await there.wait()
    await standby(quick)
    await quick.crash()
    if outcome is None:
        call = await quick.originated()
        quick.response(call, reason=5)
        quick.hangup(call, cause=0, state="Ringing")
    end = next(event for event in reversed(await quick.contacts(K.ENDED)) if event.kind is K.ENDED)
    assert end.outcome is (outcome or Outcome.BUSY)
    assert_nobody_twice(quick)


async def test_a_dialer_that_was_frozen_finds_that_the_campaign_is_anothers(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up between the launch and the originate, when the other has dialled for a while."""
    first = await quick.start()
    frozen, thawed = asyncio.Event(), asyncio.Event()
    originate = first._launcher._originate

    async def freeze(*args: Any) -> None:
        frozen.set()
        first._lease._until = 0.0
        await thawed.wait()
        await originate(*args)

    monkeypatch.setattr(first._launcher, "_originate", freeze)
    await quick.offer(lead(1))
    await quick.agent("7")
    await frozen.wait()
    thawed.set()
    await until(lambda: not first._board.calls, "the call is given up")
    assert quick.pbx.actions("Originate") == []

"""Preview mode, callbacks to an agent of one's own, and a floor that everybody leaves."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dialer import switchboard
from ringback.records import ContactKind, Outcome
from ringback.settings import RedisSettings
from tests.dialer.fake_ami import Action
from tests.dialer.leads import NOON, lead
from tests.dialer.waiting import until
from tests.dialer.world import World
from tests.servers.embedded import EmbeddedKafka

K = ContactKind


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def preview(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker, mode="preview", preview=20.0)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker)
    await made.open()
    yield made
    await made.close()


async def offered(world: World, count: int = 1) -> Action:
    """The ``count``-th offer of a lead."""
    offer = await world.pbx.wait_for("UserEvent", count)
    assert (offer["UserEvent"], offer["State"]) == ("RingbackPreview", "offered")
    return offer


def decide(world: World, offer: Action, state: str, **more: str) -> None:
    world.pbx.user_event(
        "RingbackPreview", **{"Agent": offer["Agent"], "CallID": offer["CallID"], "State": state, **more}
    )


async def test_a_lead_is_dialled_when_the_agent_says_so_and_goes_to_that_agent(preview: World) -> None:
    await preview.start()
    await preview.agent("6")
    await preview.agent("7")
    await preview.offer(lead(1))
    offer = await offered(preview)
    assert preview.dialer is not None
    other = {"6": "7", "7": "6"}[offer["Agent"]]
    decide(preview, offer, "accepted", Agent=other)
    decide(preview, offer, "nonsense")
    assert preview.pbx.actions("Originate") == []
    decide(preview, offer, "accepted")
    assert await preview.originated() == offer["CallID"]
    preview.stage(offer["CallID"], "answered")
    assert (await preview.pbx.wait_for("Redirect"))["Exten"] == offer["Agent"]
    preview.stage(offer["CallID"], "connected", Agent=offer["Agent"])
    preview.hangup(offer["CallID"])
    kinds = [event.kind for event in await preview.contacts(K.ENDED)]
    assert kinds == [K.ATTEMPTED, K.ANSWERED, K.CONNECTED, K.ENDED]


async def test_a_skipped_lead_makes_room_for_the_next_and_comes_back_later(preview: World) -> None:
    await preview.start()
    await preview.offer(lead(1, priority=9), lead(2, priority=5))
    await preview.agent("7")
    first = await offered(preview)
    assert first["LeadID"] == "lead-1"
    decide(preview, first, "skipped")
    second = await offered(preview, 2)
    assert second["LeadID"] == "lead-2"
    assert [found.lead_id for found in await preview.hopper.candidates(NOON + 600 + 60, 9)] == ["lead-1"]
    assert preview.pbx.actions("Originate") == []


async def test_an_offer_ends_when_the_agent_leaves_and_while_a_call_rings_there_is_none(preview: World) -> None:
    await preview.start()
    await preview.offer(lead(1, priority=9), lead(2, priority=5))
    await preview.agent("7")
    first = await offered(preview)
    await preview.agent("7", "gone")
    await preview.agent("8")
    again = await offered(preview, 2)
    assert (again["LeadID"], again["Agent"]) == ("lead-1", "8")
    assert again["CallID"] != first["CallID"]
    decide(preview, first, "accepted")
    decide(preview, again, "accepted")
    assert await preview.originated() == again["CallID"]
    assert len(preview.pbx.actions("UserEvent")) == 2


async def test_what_is_bought_while_an_agent_looks_is_not_dialled(preview: World) -> None:
    await preview.start()
    await preview.offer(lead(1))
    await preview.agent("7")
    offer = await offered(preview)
    await preview.hopper.withdraw("shopper-1", "bought", NOON)
    decide(preview, offer, "accepted")
    end = (await preview.contacts(K.ENDED))[-1]
    assert end.detail == "not placed: bought"
    assert preview.pbx.actions("Originate") == []


async def test_predictive_dialling_begins_with_one_line_for_each_idle_agent(
    redis_settings: RedisSettings, broker: EmbeddedKafka
) -> None:
    world = World(redis_settings, broker, servers=2, mode="predictive")
    await world.open()
    try:
        await world.start()
        for pbx, agent in zip(world.pbxs, "78", strict=True):
            await pbx.agent(agent, "ready")
        await world.offer(*(lead(n) for n in range(5)))
        for pbx in world.pbxs:
            call = (await pbx.wait_for("Originate"))["ChannelId"]
            pbx.stage(call, "answered")
            await pbx.wait_for("Redirect")
            pbx.hangup(call)
            await pbx.wait_for("Originate", 2)
        await world.contacts(K.ENDED, 2)
        assert [len(pbx.actions("Originate")) for pbx in world.pbxs] == [2, 2]
    finally:
        await world.close()


async def test_a_callback_goes_to_the_agent_who_promised_it(world: World) -> None:
    await world.hopper.promise(lead(1, agent="7"), NOON)
    await world.start()
    await world.agent("6")
    await world.agent("7")
    call = await world.originated()
    world.stage(call, "answered")
    assert (await world.pbx.wait_for("Redirect"))["Exten"] == "7"


async def test_when_all_agents_leave_phones_ring_as_long_as_they_must(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard, "RING_SECONDS", 3600.0)
    await world.start()
    await world.offer(lead(1), lead(2))
    await world.agent("7")
    call = await world.originated()
    world.pbx.event("DialState", DestUniqueid=call, DialStatus="RINGING")
    await world.agent("7", "gone")
    assert world.dialer is not None
    board = world.dialer._board
    await until(lambda: not board.agents.staffed("asterisk"), "nobody is there")
    board.tick(board.calls[call].ringing_since + 3599.0)  # type: ignore[operator]  # it rings
    assert world.pbx.actions("Hangup") == []
    board.tick(board.calls[call].ringing_since + 3600.0)  # type: ignore[operator]  # it rings
    assert (await world.pbx.wait_for("Hangup"))["Channel"] == call
    world.response(call, reason=0)
    world.hangup(call, cause=16, state="Ringing")
    assert (await world.contacts(K.ENDED))[-1].outcome is Outcome.NO_ANSWER
    assert len(world.pbx.actions("Originate")) == 1


async def test_who_goes_on_a_break_after_the_call_still_gets_none(world: World) -> None:
    await world.start()
    await world.offer(lead(1), lead(2))
    await world.agent("7")
    call = await world.originated()
    world.stage(call, "answered")
    await world.pbx.wait_for("Redirect")
    world.stage(call, "connected", Agent="7")
    await world.contacts(K.CONNECTED)
    await world.agent("7", "paused")
    world.hangup(call)
    await world.contacts(K.ENDED)
    assert world.dialer is not None
    assert not world.dialer._board.agents.staffed("asterisk")
    assert len(world.pbx.actions("Originate")) == 1

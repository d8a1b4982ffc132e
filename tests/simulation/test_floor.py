"""The call floor."""

import asyncio
from collections import Counter

import pytest

from ringback.records import Disposition
from simulation import floor
from simulation.ami_messages import Event
from simulation.fates import Ending, Fate
from simulation.floor import AFTER_SHORT_TALK, AFTER_TALK, Floor, disposition, team
from simulation.telephone import Talk, Telephone

DEADLINE = 10.0
TALK = Talk(channel_id="call-1", call_id="call-1", number="12125550142", agent="1001", seconds=5.0)


class Heard:
    """A telephone and what agents said on it."""

    def __init__(self) -> None:
        self.telephone = Telephone(lambda _number, _attempt: Fate(Ending.HUMAN, 0.01, 0.1))
        self.events: list[dict[str, str]] = []
        self.telephone.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(dict(event.headers))

    def said(self, **wanted: str) -> list[dict[str, str]]:
        return [event for event in self.events if wanted.items() <= event.items()]


async def wait_for(heard: Heard, count: int, **wanted: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while len(heard.said(**wanted)) < count:  # noqa: ASYNC110 - events are heard by a callback
            await asyncio.sleep(0.01)


def test_agents_have_ids_of_one_length_and_names() -> None:
    agents = team(30)
    assert len({agent.id for agent in agents}) == 30
    assert {len(agent.id) for agent in agents} == {4}
    assert all(agent.name.isalpha() for agent in agents)


async def test_agents_log_in_and_take_breaks_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "LOGIN_WITHIN", 0.1)
    monkeypatch.setattr(floor, "BETWEEN_BREAKS", 0.05)
    monkeypatch.setattr(floor, "BREAK", (0.01, 0.02))
    heard = Heard()
    work = asyncio.create_task(Floor(heard.telephone, seed=1, agents=3, talk_pace=1.0).run())
    for agent in ("1001", "1002", "1003"):
        await wait_for(heard, 2, Agent=agent, State="ready")
        await wait_for(heard, 1, Agent=agent, State="paused")
    states = [event["State"] for event in heard.said(Agent="1001", UserEvent="RingbackAgent")]
    assert states[:3] == ["ready", "paused", "ready"]
    work.cancel()


async def test_an_agent_who_was_hung_up_logs_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "LOGIN_WITHIN", 0.0)
    monkeypatch.setattr(floor, "BETWEEN_BREAKS", 0.1)
    heard = Heard()
    work = asyncio.create_task(Floor(heard.telephone, seed=1, agents=1, talk_pace=1.0).run())
    await wait_for(heard, 1, Agent="1001", State="ready")
    (leg,) = heard.telephone.channels()
    heard.telephone.hang_up(leg.name, 16)
    assert heard.telephone.channels() == []
    await wait_for(heard, 2, Agent="1001", State="ready")
    work.cancel()


async def test_each_talk_is_reported_by_its_agent() -> None:
    heard = Heard()
    reported: list[tuple[Talk, Disposition]] = []
    it = Floor(heard.telephone, seed=1, agents=1, talk_pace=0.05, reported=lambda *given: reported.append(given))
    it.talked(TALK)
    await wait_for(heard, 1, UserEvent="RingbackDisposition")
    (event,) = heard.events
    assert (event["CallID"], event["Agent"]) == ("call-1", "1001")
    assert Disposition(event["Disposition"]) is disposition(1, "call-1", 100.0)
    assert reported == [(TALK, disposition(1, "call-1", 100.0))]


def test_what_comes_of_a_talk_depends_on_its_length() -> None:
    short = Counter(disposition(1, str(n), 10.0) for n in range(500))
    long = Counter(disposition(1, str(n), 200.0) for n in range(500))
    assert set(short) == set(AFTER_SHORT_TALK)
    assert set(long) == set(AFTER_TALK)
    assert long.most_common(1)[0][0] is Disposition.INTERESTED

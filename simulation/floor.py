"""The call floor: agents who log in, talk, report what came of it, and take a break now and then."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from ringback.records import Disposition
from simulation.telephone import Talk, Telephone

FIRST_ID = 1001
NAMES = ("Ada", "Ben", "Carla", "Dan", "Ella", "Femi", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Liam", "Maya", "Noah")
MOST_AGENTS = 200

# All in wall seconds, lively: a floor of minutes, not of shifts.
LOGIN_WITHIN = 3.0
BETWEEN_BREAKS = 90.0
BREAK = (4.0, 9.0)
REPORT_AFTER = (0.3, 1.2)

# A talk shorter than this, in seconds of an unhurried conversation, comes to nothing.
SHORT_TALK = 60.0
AFTER_SHORT_TALK = {Disposition.NOT_INTERESTED: 70, Disposition.WRONG_NUMBER: 20, Disposition.DO_NOT_CALL: 10}
AFTER_TALK = {
    Disposition.INTERESTED: 52,
    Disposition.CALLBACK: 14,
    Disposition.NOT_INTERESTED: 30,
    Disposition.DO_NOT_CALL: 4,
}


@dataclass(frozen=True, slots=True)
class Agent:
    """One of the floor. The name is for display; everything else goes by ``id``, the agent's extension."""

    id: str
    name: str


def team(size: int) -> list[Agent]:
    """The agents of a floor."""
    return [Agent(str(FIRST_ID + n), NAMES[n % len(NAMES)]) for n in range(size)]


def disposition(seed: int, channel_id: str, talk_seconds: float) -> Disposition:
    """What an agent reports after a conversation; ``talk_seconds`` as of an unhurried one."""
    weights = AFTER_SHORT_TALK if talk_seconds < SHORT_TALK else AFTER_TALK
    (chosen,) = random.Random(f"{seed}/{channel_id}").choices(tuple(weights), tuple(weights.values()))
    return chosen


class Floor:
    """The agents at work until `run` is cancelled. ``talk_pace`` is that of the network's laws."""

    def __init__(
        self,
        telephone: Telephone,
        *,
        seed: int,
        agents: int,
        talk_pace: float,
        reported: Callable[[Talk, Disposition], None] = lambda talk, reported: None,
    ) -> None:
        self._telephone = telephone
        self._seed = seed
        self._talk_pace = talk_pace
        self._reported = reported
        self._team = team(agents)
        self._reports: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Log all agents in, and let them work."""
        async with asyncio.TaskGroup() as tasks:
            for agent in self._team:
                tasks.create_task(self._work(agent), name=f"agent {agent.id}")

    def talked(self, talk: Talk) -> None:
        """An agent's conversation is over: the report follows during wrap-up."""
        task = asyncio.create_task(self._report(talk), name=f"report on {talk.channel_id}")
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _work(self, agent: Agent) -> None:
        chance = random.Random(f"{self._seed}/{agent.id}")
        await asyncio.sleep(chance.uniform(0.0, LOGIN_WITHIN))
        self._telephone.agent_arrives(agent.id)
        while True:
            await asyncio.sleep(chance.expovariate(1 / BETWEEN_BREAKS))
            if not await self._telephone.until_idle(agent.id):
                self._telephone.agent_arrives(agent.id)
            self._telephone.agent_tells(agent.id, "paused")
            await asyncio.sleep(chance.uniform(*BREAK))
            self._telephone.agent_tells(agent.id, "ready")

    async def _report(self, talk: Talk) -> None:
        chance = random.Random(f"{self._seed}/{talk.channel_id}/report")
        chosen = disposition(self._seed, talk.channel_id, talk.seconds / self._talk_pace)
        await asyncio.sleep(chance.uniform(*REPORT_AFTER))
        self._telephone.report(talk.call_id, talk.agent, chosen.value)
        self._reported(talk, chosen)

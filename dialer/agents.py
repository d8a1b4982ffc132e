"""The agents on the floor: who is idle, who talks to whom. No I/O; times are passed in, in seconds of a steady clock.

Agents are nailed up: their leg stays in their own conference from log-in to log-out, and shoppers come and go.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dialer.pacing import Busy, BusyAgent
from ringback.metrics import AgentState

WORKING = frozenset({AgentState.CONNECTING, AgentState.TALKING, AgentState.WRAP_UP})


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, in ``state`` ``since`` then, whose leg is on ``server``.

    ``pausing``: will be paused when the call is over.
    """

    agent_id: str
    server: str
    state: AgentState
    since: float
    call_id: str | None = None
    pausing: bool = False

    @property
    def present(self) -> bool:
        """Whether the agent takes another call after this one."""
        return self.state is not AgentState.PAUSED and not self.pausing


class Agents:
    """All agents who are logged in. ``wrap_up`` is in seconds."""

    def __init__(self, wrap_up: float) -> None:
        self._wrap_up = wrap_up
        self._agents: dict[str, Agent] = {}
        self._left: dict[str, float] = {}

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def count(self, state: AgentState, server: str | None = None) -> int:
        """How many are in a state, on one server or on all."""
        return sum(agent.state is state and server in (None, agent.server) for agent in self)

    def busy(self, now: float, server: str) -> list[BusyAgent]:
        """Those on a server who talk or wrap up, and for how long; who goes on a break afterwards is left out."""
        kinds = {AgentState.TALKING: Busy.TALKING, AgentState.WRAP_UP: Busy.WRAP_UP}
        return [
            BusyAgent(kinds[agent.state], now - agent.since)
            for agent in self
            if agent.state in kinds and agent.server == server and not agent.pausing
        ]

    def staffed(self, server: str) -> bool:
        """Whether anybody on a server takes calls, now or after the present one."""
        return any(agent.present and agent.server == server for agent in self)

    def find(self, agent_id: str) -> Agent | None:
        """An agent who is logged in."""
        return self._agents.get(agent_id)

    def ready(self, agent_id: str, server: str, now: float) -> None:
        """An agent logs in, comes back from a pause, or ends wrap-up early. A call is not interrupted."""
        agent = self._agents.get(agent_id)
        if agent and agent.state in (AgentState.CONNECTING, AgentState.TALKING):
            self._agents[agent_id] = replace(agent, pausing=False)
        elif agent is None or agent.state is not AgentState.IDLE or agent.server != server:
            self._agents[agent_id] = Agent(agent_id, server, AgentState.IDLE, now)

    def paused(self, agent_id: str, server: str, now: float) -> None:
        """An agent takes a break, after the call if there is one."""
        agent = self._agents.get(agent_id)
        if agent and agent.state in (AgentState.CONNECTING, AgentState.TALKING):
            self._agents[agent_id] = replace(agent, pausing=True)
        elif agent is None or agent.state is not AgentState.PAUSED:
            self._agents[agent_id] = Agent(agent_id, server, AgentState.PAUSED, now)

    def gone(self, agent_id: str, server: str, now: float) -> None:
        """An agent's leg on a server is gone."""
        agent = self._agents.get(agent_id)
        if agent is None or agent.server == server:
            self._agents.pop(agent_id, None)
            self._left[agent_id] = now

    def assign(
        self, call_id: str, server: str, now: float, wanted: str | None = None, spared: Container[str | None] = ()
    ) -> str | None:
        """Take an idle agent on the server for an answered call; None when nobody there is idle.

        It is the ``wanted`` one, or else who has been idle longest; those ``spared`` for another call come last.
        """
        idle = [agent for agent in self if agent.state is AgentState.IDLE and agent.server == server]
        if not idle:
            return None
        chosen = min(idle, key=lambda agent: (agent.agent_id != wanted, agent.agent_id in spared, agent.since))
        self._agents[chosen.agent_id] = replace(chosen, state=AgentState.CONNECTING, since=now, call_id=call_id)
        return chosen.agent_id

    def connected(self, agent_id: str, server: str, call_id: str, now: float) -> None:
        """A shopper is with an agent. Whoever else was to get the call, or had it, does not any more.

        An agent who was not known to be logged in must be, then; but who is gone stays gone: the leg went in the moment
        in which the shopper was sent there.
        """
        for other in list(self):
            if other.call_id == call_id and other.agent_id != agent_id:
                self._free(other, now)
        if agent_id not in self._agents and agent_id in self._left:
            return
        agent = self._agents.get(agent_id) or Agent(agent_id, server, AgentState.IDLE, now)
        self._agents[agent_id] = replace(agent, state=AgentState.TALKING, since=now, call_id=call_id)

    def release(self, call_id: str, now: float) -> float | None:
        """The call has left its agent: after a talk wrap-up begins, after a failed connect the agent is idle again.

        The seconds of the talk, None when there was none.
        """
        agent = next((agent for agent in self if agent.call_id == call_id), None)
        return self._free(agent, now) if agent else None

    def _free(self, agent: Agent, now: float) -> float | None:
        talked = agent.state is AgentState.TALKING
        if agent.pausing:
            after = AgentState.PAUSED
        elif talked and self._wrap_up > 0:
            after = AgentState.WRAP_UP
        else:
            after = AgentState.IDLE
        # Whoever was not connected keeps the place in the queue of idle agents only roughly: from now on.
        self._agents[agent.agent_id] = Agent(agent.agent_id, agent.server, after, now)
        return now - agent.since if talked else None

    def waiting_longer(self, seconds: float, now: float) -> list[Agent]:
        """Agents to whom a shopper was sent so long ago and never came."""
        return [agent for agent in self if agent.state is AgentState.CONNECTING and now - agent.since > seconds]

    def tick(self, now: float) -> list[float]:
        """End each wrap-up whose time is over; how long they lasted."""
        over = [agent for agent in self if agent.state is AgentState.WRAP_UP and now - agent.since >= self._wrap_up]
        for agent in over:
            self._agents[agent.agent_id] = Agent(agent.agent_id, agent.server, AgentState.IDLE, now)
        return [now - agent.since for agent in over]

    def rebuild(
        self, server: str, present: Iterable[str], talking: Mapping[str, str], asked: float, now: float
    ) -> None:
        """Take over what a server has: agents whose legs are up there, and who of them talks in which call.

        Known agents keep their state unless it contradicts; those unknown are idle. Who came or went after the server
        was ``asked`` may be missing in its answer, or still be in it.
        """
        legs = {agent_id for agent_id in {*present, *talking} if self._left.get(agent_id, asked - 1) < asked}
        for known in list(self):
            if known.server == server and known.agent_id not in legs and known.since < asked:
                del self._agents[known.agent_id]
        self._left = {agent_id: left for agent_id, left in self._left.items() if left >= asked}
        for agent_id in legs:
            call_id = talking.get(agent_id)
            agent = self._agents.get(agent_id)
            if call_id and (agent is None or agent.call_id != call_id):
                self.connected(agent_id, server, call_id, now)
            elif agent is None or (call_id is None and agent.state is AgentState.TALKING):
                self._agents[agent_id] = Agent(agent_id, server, AgentState.IDLE, now)

"""Preview mode: each idle agent is offered a lead, and it is dialled when the agent says so.

An offer is a UserEvent ``RingbackPreview`` (State: offered, Agent, CallID, LeadID, Seconds). The agent's desktop shows
the lead (`Hopper.find`) and answers with one that names CallID, Agent and State: accepted or skipped.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from dialer.ami import NotConnected, OutcomeUnknown
from dialer.hopper import Hopper, Reserved
from dialer.launch import RESERVATION_SECONDS, Launcher
from dialer.servers import Server, Slot
from dialer.switchboard import Switchboard
from ringback.metrics import AgentState
from ringback.settings import Settings

log = logging.getLogger(__name__)

# Business seconds until a lead that an agent skipped is offered again.
SKIPPED_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _Offer:
    reserved: Reserved
    agent_id: str
    server: Server
    asked: float
    until: float


class Previews:
    """The leads that agents look at. ``slot_on`` gives a place for a call on a server, None when there is none now."""

    def __init__(
        self,
        settings: Settings,
        hopper: Hopper,
        launcher: Launcher,
        board: Switchboard,
        slot_on: Callable[[Server], Slot | None],
    ) -> None:
        self._seconds = settings.dialer.preview
        self._clock = settings.simulation.clock()
        self._hopper = hopper
        self._launcher = launcher
        self._board = board
        self._slot_on = slot_on
        self._offers: dict[str, _Offer] = {}
        self._accepted: dict[str, bool] = {}

    def chosen(self, call_id: str, agent_id: str, *, accepted: bool) -> None:
        """An agent has decided. Words on what was not offered to that agent are ignored."""
        offer = self._offers.get(call_id)
        if offer is None or offer.agent_id != agent_id:
            log.warning("agent %s decided on call %s, which was not offered (any more)", agent_id, call_id)
            return
        self._accepted[call_id] = accepted
        self._board.changed.set()

    def forget(self) -> None:
        """The campaign was another's meanwhile: what was offered is reserved no more."""
        self._offers.clear()
        self._accepted.clear()

    async def round(self, servers: list[Server]) -> None:
        """Heed what agents said, take back what is over, and offer leads to those of these servers who have none."""
        now = time.monotonic()
        for call_id, offer in list(self._offers.items()):
            agent = self._board.agents.find(offer.agent_id)
            accepted = self._accepted.get(call_id)
            if accepted is False:
                await self._take_back(call_id, SKIPPED_SECONDS)
            elif agent is None or agent.state is not AgentState.IDLE or now >= offer.until:
                await self._take_back(call_id, 0.0)
            elif accepted and offer.server.usable and (slot := self._slot_on(offer.server)):
                self._drop(call_id)
                await self._launcher.call(offer.reserved, slot, now, offer.agent_id)
        await self._offer({server.name: server for server in servers}, now)

    async def _offer(self, servers: dict[str, Server], now: float) -> None:
        taken = {offer.agent_id for offer in self._offers.values()}
        taken |= {live.agent for live in self._board.calls.values() if live.agent}
        idle = {
            agent.agent_id: servers[agent.server]
            for agent in sorted(self._board.agents, key=lambda agent: agent.since)
            if agent.state is AgentState.IDLE and agent.server in servers and agent.agent_id not in taken
        }
        if not idle:
            return
        found = await self._launcher.reserve(len(idle), list(idle), self._seconds + RESERVATION_SECONDS)
        for reserved, asked in sorted(found, key=lambda one: one[0].agent is None):
            agent_id = reserved.agent if reserved.agent in idle else next(iter(idle))
            server = idle.pop(agent_id)
            offer = _Offer(reserved, agent_id, server, asked, now + self._seconds)
            self._offers[reserved.call_id] = offer
            self._board.chores.spawn(self._show(offer))

    async def _show(self, offer: _Offer) -> None:
        shown = {"Agent": offer.agent_id, "CallID": offer.reserved.call_id, "LeadID": offer.reserved.lead.lead_id}
        try:
            await offer.server.ami.send(
                "UserEvent", UserEvent="RingbackPreview", State="offered", Seconds=self._seconds, **shown
            )
        except (NotConnected, OutcomeUnknown, ValueError) as error:
            log.warning("agent %s was not shown a lead: %s", offer.agent_id, error)

    async def _take_back(self, call_id: str, after: float) -> None:
        await self._hopper.unreserve(call_id, self._clock.now() + after)
        self._drop(call_id)

    def _drop(self, call_id: str) -> None:
        del self._offers[call_id]
        self._accepted.pop(call_id, None)

"""The calls that live and the agents on the floor: Asterisk's events in, redirects, hang-ups and contact events out.

The rules are in `dialer.calls` (what a signal means for a call) and `dialer.agents`; here they are carried out.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from panoramisk.message import Message

from dialer import actions, calls, pacing, recycling, signals
from dialer.actions import Action
from dialer.agents import Agents
from dialer.ami import NotConnected, OutcomeUnknown
from dialer.calls import Call, Effect, Signal, State
from dialer.chores import Chores
from dialer.guard import AbandonmentGuard
from dialer.hopper import Hopper
from dialer.journal import Journal
from dialer.reports import Reports
from dialer.servers import Server, Slot
from dialer.tally import Tally
from ringback.decisions import Lead
from ringback.dialer_settings import RING_SECONDS
from ringback.metrics import AgentState, DialerMetrics, NeverEvent
from ringback.records import ContactKind, Outcome
from ringback.settings import Settings

log = logging.getLogger(__name__)

# Asterisk plays the safe-harbour message 1.8 s after the answer; a redirect needs a few milliseconds.
LAST_CHANCE_SECONDS = 1.7
GRACE_SECONDS = 0.5
CONNECT_SECONDS = 3.0
# From an originate to the first ring, at most, where Asterisk does not tell when it rings.
SET_UP_SECONDS = 3.0


@dataclass(slots=True)
class Live:
    """A call that is not over. Times are monotonic seconds, but ``placed`` is business time.

    ``servers`` are those where it may be: one, unless its originate was another process's. ``absent`` are those of them
    that do not have it. ``trunk`` is unknown with the server. ``agent`` is who should get the call, if idle then.
    """

    call: Call
    lead: Lead
    began: float
    placed: float
    servers: frozenset[str]
    trunk: str | None = None
    agent: str | None = None
    missing_since: float | None = None
    absent: set[str] = field(default_factory=set)
    ringing_since: float | None = None
    resolved: bool = False

    @property
    def server(self) -> str | None:
        """Where it is, if that is known."""
        return next(iter(self.servers)) if len(self.servers) == 1 else None

    def found(self, server: str) -> None:
        """It is there, and nowhere else."""
        self.servers = frozenset({server})
        self.missing_since = None
        self.absent.clear()


class Switchboard:
    """All live calls and agents of this dialer. Its methods run on the event loop and do not block."""

    def __init__(
        self,
        settings: Settings,
        hopper: Hopper,
        journal: Journal,
        metrics: DialerMetrics,
        servers: Mapping[str, Server],
        guard: AbandonmentGuard,
        may_route: Callable[[], bool],
    ) -> None:
        self.calls: dict[str, Live] = {}
        self.agents = Agents(settings.dialer.wrap_up)
        self.changed = asyncio.Event()
        self.chores = Chores()
        self.tally = Tally(metrics, {name: server.pacer for name, server in servers.items()}, guard)
        self._settings = settings
        self._clock = settings.simulation.clock()
        self._hopper = hopper
        self._journal = journal
        self._reports = Reports(settings, hopper, journal, self.chores, metrics)
        self._metrics = metrics
        self._servers = servers
        self._may_route = may_route
        self._waiting: dict[str, float] = {}
        self._settling: set[str] = set()

    def knows(self, call_id: str) -> bool:
        """Whether a call lives here, or is being settled."""
        return call_id in self.calls or call_id in self._settling

    def busy(self) -> bool:
        """Whether a call lives or is being settled."""
        return bool(self.calls or self.chores)

    def ringing(self, server: str) -> list[Live]:
        """The calls of a server that are neither answered nor over."""
        return [live for live in self.calls.values() if live.call.state is State.ORIGINATING and live.server == server]

    def on_trunk(self, server: str, trunk: str) -> tuple[int, int]:
        """How many calls use a trunk, and how many of these are not answered yet."""
        # A call that was found alive may be on any trunk.
        here = [live for live in self.calls.values() if server in live.servers and live.trunk in (None, trunk)]
        states = [live.call.state for live in here]
        return len(states), states.count(State.ORIGINATING)

    def floor(self, server: str, now: float, free_lines: int) -> pacing.Floor:
        """What the pacer of a server sees at ``now`` (monotonic)."""
        return pacing.Floor(
            idle=self.agents.count(AgentState.IDLE, server),
            busy=self.agents.busy(now, server),
            in_flight=[now - live.began for live in self.ringing(server)],
            waiting=sum(self.calls[call_id].server == server for call_id in self._waiting),
            free_lines=free_lines,
        )

    def uncovered(self, server: str) -> int:
        """`pacing.Floor.uncovered` of a server, for who needs nothing else of its floor."""
        waiting = sum(self.calls[call_id].server == server for call_id in self._waiting)
        return self.agents.count(AgentState.IDLE, server) - len(self.ringing(server)) - waiting

    def promised(self) -> set[str]:
        """The agents for whom calls ring: their own callbacks, or what they asked for."""
        return {live.agent for live in self.calls.values() if live.agent and live.call.state is State.ORIGINATING}

    def open(
        self,
        call_id: str,
        lead: Lead,
        slot: Slot | None = None,
        agent: str | None = None,
        placed: float | None = None,
    ) -> None:
        """A call begins in its slot (or is found in Redis, and may be on any server): its signals are followed now.

        ``agent`` gets it, if idle when it is answered; ``placed`` is its beginning, business time, where that is past.
        Raises `ValueError` for an id that is none: see `dialer.calls`.
        """
        if not calls.is_call_id(call_id):
            raise ValueError(f"{call_id!r} is no call id: 32 lower-case hex digits")
        if any(live.lead.phone_ref == lead.phone_ref for live in self.calls.values()):
            self._metrics.never_events.labels(NeverEvent.SECOND_CALL_AT_ONCE.value).inc()
            log.error("call %s goes to a person who is being called already", call_id)
        servers = frozenset({slot.server.name} if slot else self._servers)
        trunk = slot.trunk.name if slot else None
        placed = self._clock.now() if placed is None else placed
        self.calls[call_id] = Live(Call(call_id), lead, time.monotonic(), placed, servers, trunk, agent)
        self._reports.remember(call_id, lead)

    def undo(self, call_id: str, why: str) -> None:
        """A call that is on record as attempted was certainly not placed: say so, and put its lead back."""
        live = self.calls.pop(call_id)
        told = self._journal.tell(
            ContactKind.ENDED, live.lead, call_id, outcome=Outcome.FAILED, detail=f"not placed: {why}"
        )
        self._settling.add(call_id)
        self.chores.spawn(self._unreserve(call_id, told))

    async def _unreserve(self, call_id: str, told: asyncio.Future[None]) -> None:
        await told
        await self.chores.insist(lambda: self._hopper.unreserve(call_id, self._clock.now()))
        self._settling.discard(call_id)

    def forget(self) -> None:
        """The calls are another dialer's now: whatever comes of them is for that one to tell and to settle."""
        self.calls.clear()
        self._waiting.clear()

    def on_event(self, server: str, message: Message) -> signals.Chosen | None:
        """An AMI event of a server. What an agent decided on a preview is not the switchboard's: it is returned."""
        match signals.read(message, time.time()):
            case signals.OfCall(call_id, signal):
                self.signal(call_id, signal, server)
            case signals.OfAgent(agent_id, state):
                self._agent(server, agent_id, state)
            case signals.Reported() as reported:
                self._reports.disposition(reported)
            case signals.OptedOut(call_id):
                self._reports.opted_out(call_id)
            case signals.Chosen() as chosen:
                return chosen
        return None

    def signal(self, call_id: str, signal: Signal, server: str | None = None) -> None:
        """Bring a signal to its call and do what follows. ``server`` is where it comes from, if from Asterisk."""
        live = self.calls.get(call_id)
        if live is None:
            if isinstance(signal, calls.Answered) and self._may_route():
                log.warning("call %s was answered after it was given up; the safe-harbour message plays", call_id)
            return
        if server:
            live.found(server)
        if isinstance(signal, calls.Ringing) and live.ringing_since is None:
            live.ringing_since = time.monotonic()
        live.call, effects = calls.step(live.call, signal)
        for effect in effects:
            self._do(effect, live)
        self.changed.set()

    def unlinked(self, server: str) -> None:
        """The link to a server is gone, and what it says meanwhile of its calls is missed."""
        for call_id, live in list(self.calls.items()):
            if server in live.servers:
                self.signal(call_id, calls.Missed())

    def tick(self, now: float) -> None:
        """Once in a while: end wrap-ups, free agents whose call did not come. ``now`` is monotonic."""
        for lasted in self.agents.tick(now):
            self.tally.wrapped_up(lasted)
        for agent in self.agents.waiting_longer(CONNECT_SECONDS, now):
            log.warning("agent %s got no shopper within %.0f s; idle again", agent.agent_id, CONNECT_SECONDS)
            self.agents.release(agent.call_id or "", now)
        self._give_up_where_nobody_is_left(now)
        self._match()
        self.changed.set()

    def _give_up_where_nobody_is_left(self, now: float) -> None:
        for server in self._servers:
            if not self.agents.staffed(server):
                for live in self.ringing(server):
                    since = live.ringing_since or live.began + SET_UP_SECONDS
                    if now - since >= RING_SECONDS:
                        self.signal(live.call.call_id, calls.NobodyLeft())

    def _do(self, effect: Effect, live: Live) -> None:
        match effect:
            case Effect.FIND_AGENT:
                self._answer(live)
            case Effect.TELL_CONNECTED:
                self._connect(live)
            case Effect.TELL_ABANDONED:
                self._abandon(live)
            case Effect.TELL_WITHDRAWN:
                self._journal.tell(ContactKind.WITHDRAWN, live.lead, live.call.call_id, detail=live.call.withdrawn)
            case Effect.HANG_UP:
                self.chores.spawn(self._hang_up(live))
            case Effect.AWAIT_REST:
                loop = asyncio.get_running_loop()
                loop.call_later(GRACE_SECONDS, self.signal, live.call.call_id, calls.GraceOver())
            case Effect.END:
                self._end(live)

    def _answer(self, live: Live) -> None:
        self._rang(live, Outcome.CONNECTED)
        self.tally.answered(live.call)
        self._journal.tell(ContactKind.ANSWERED, live.lead, live.call.call_id)
        self._waiting[live.call.call_id] = time.monotonic() + LAST_CHANCE_SECONDS
        self._match()

    def _match(self) -> None:
        """Give each answered shopper, oldest first, an agent on the same server: see `Agents.assign`."""
        now = time.monotonic()
        for call_id, until in list(self._waiting.items()):
            live = self.calls[call_id]
            if until < now:
                del self._waiting[call_id]
            elif self._may_route() and live.server:
                agent = self.agents.assign(call_id, live.server, now, live.agent, self.promised())
                if agent is not None:
                    del self._waiting[call_id]
                    self.chores.spawn(self._redirect(live, agent))

    async def _redirect(self, live: Live, agent: str) -> None:
        call_id = live.call.call_id
        try:
            refusal = await self._act(live, actions.connect(call_id, agent))
        except (NotConnected, OutcomeUnknown) as error:
            log.warning("call %s was not handed to agent %s: %s", call_id, agent, error)
            return
        if refusal is not None:
            # As a rule the shopper has hung up meanwhile.
            log.info("call %s was not handed to agent %s: %s", call_id, agent, refusal)
            self.agents.release(call_id, time.monotonic())
            self.changed.set()

    async def _hang_up(self, live: Live) -> None:
        try:
            await self._act(live, actions.hang_up(live.call.call_id))
        except (NotConnected, OutcomeUnknown) as error:
            log.warning("call %s could not be hung up: %s", live.call.call_id, error)

    async def _act(self, live: Live, action: Action) -> str | None:
        """Have the call's server do something: None, or why it refuses."""
        if live.server is None:
            raise NotConnected("it is not known which server has the call")
        answer = await self._servers[live.server].ami.send(action.name, **action.headers)
        return None if answer.success else str(answer.message)

    def _connect(self, live: Live) -> None:
        call = live.call
        self._waiting.pop(call.call_id, None)
        self._rang(live, Outcome.CONNECTED)
        server = live.server or ""  # told by a server, and so known
        if actions.is_agent_id(call.agent or ""):
            self.agents.connected(call.agent or "", server, call.call_id, time.monotonic())
        self._journal.tell(
            ContactKind.CONNECTED, live.lead, call.call_id, agent=call.agent, wait_seconds=call.wait_seconds
        )
        self.tally.connected(call, server)

    def _abandon(self, live: Live) -> None:
        self._waiting.pop(live.call.call_id, None)
        self.agents.release(live.call.call_id, time.monotonic())
        self._rang(live, Outcome.ABANDONED)
        self.tally.abandoned(live.call, live.server or "")

    def _end(self, live: Live) -> None:
        call, outcome, now = live.call, live.call.outcome or Outcome.UNKNOWN, time.monotonic()
        del self.calls[call.call_id]
        self._waiting.pop(call.call_id, None)
        talked = self.agents.release(call.call_id, now)
        if talked is not None:
            self.tally.talked(talked)
        self._rang(live, outcome)
        self.tally.ended(call, live.server)
        self._metrics.calls.labels(outcome.value).inc()
        self._judge_trunk(live, outcome, now)
        if call.message is not None and not call.message.played:
            log.error("call %s heard silence: %s can't play RINGBACK_SAFE_HARBOUR", call.call_id, live.server)
        self._settling.add(call.call_id)
        self._journal.ledger.ended(call, live.lead, live.placed)
        told = self._journal.tell(
            ContactKind.ENDED,
            live.lead,
            call.call_id,
            agent=call.agent,
            outcome=outcome,
            wait_seconds=call.wait_seconds,
            talk_seconds=call.talk_seconds,
            detail=call.withdrawn,
        )
        self.chores.spawn(self._settle(live, outcome, told))

    async def _settle(self, live: Live, outcome: Outcome, told: asyncio.Future[None]) -> None:
        # The person stays locked until the end of the call is on record, in the ledger too: it was queued before.
        await told
        call, now = live.call, self._clock.now()
        spacing = recycling.spacing_of(live.lead, outcome.value, now)
        then = recycling.after(outcome, now, self._settings.leads.recycling, spacing)
        await self.chores.insist(
            lambda: self._hopper.settle(
                call.call_id,
                outcome,
                then.retry_at,
                most_calls=then.most_calls,
                lockout_until=then.lockout_until,
                talk_seconds=call.talk_seconds,
            )
        )
        self._settling.discard(call.call_id)
        self.changed.set()

    def _judge_trunk(self, live: Live, outcome: Outcome, now: float) -> None:
        if live.server is None or live.trunk is None:
            return
        if self._servers[live.server].trunks[live.trunk].ended(outcome, now):
            log.error(
                "calls fail one after the other: is trunk %s of %s dead? Dialling on it pauses; "
                "see `pjsip show endpoints`",
                live.trunk,
                live.server,
            )

    def _rang(self, live: Live, outcome: Outcome) -> None:
        if not live.resolved:
            live.resolved = True
            self.tally.rang(outcome, time.monotonic() - live.began)

    def _agent(self, server: str, agent_id: str, state: str) -> None:
        if not actions.is_agent_id(agent_id):
            log.warning("%s: %.60r is no agent's id; not heeded", server, agent_id)
            return
        now = time.monotonic()
        match state:
            case "ready":
                self.agents.ready(agent_id, server, now)
            case "paused":
                self.agents.paused(agent_id, server, now)
            case _:
                self.agents.gone(agent_id, server, now)
        # A shopper who waits is matched at the next tick: "ready" is said before the leg can take a shopper.
        self.changed.set()

"""The calls that live and the agents on the floor: Asterisk's events in, redirects, hang-ups and contact events out.

The rules are in `dialer.calls` (what a signal means for a call) and `dialer.agents`; here they are carried out.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from panoramisk.message import Message

from dialer import calls, pacing, signals
from dialer.agents import WORKING, Agents
from dialer.ami import Ami, NotConnected, OutcomeUnknown
from dialer.breaker import Breaker
from dialer.calls import Call, Effect, Signal, State
from dialer.compliance.attempts import retry_at
from dialer.contacts import Contacts
from dialer.hopper import Hopper
from ringback.decisions import Lead
from ringback.errors import Unavailable
from ringback.metrics import AgentState, CallState, DialerMetrics, NeverEvent
from ringback.records import Channel, ContactEvent, ContactKind, Disposition, Outcome
from ringback.settings import Settings

log = logging.getLogger(__name__)

# Asterisk plays the safe-harbour message 1.8 s after the answer; a redirect needs a few milliseconds.
LAST_CHANCE_SECONDS = 1.7
GRACE_SECONDS = 0.5
CONNECT_SECONDS = 3.0
REMEMBERED_CALLS = 10_000
REDIS_RETRY_SECONDS = 0.5

T = TypeVar("T")


@dataclass(slots=True)
class Live:
    """A call that is not over. ``began`` and ``missing_since`` are monotonic seconds."""

    call: Call
    lead: Lead
    began: float
    missing_since: float | None = None
    rang: bool = False


class Switchboard:
    """All live calls and agents of this dialer. Its methods run on the event loop and do not block."""

    def __init__(
        self,
        settings: Settings,
        hopper: Hopper,
        contacts: Contacts,
        metrics: DialerMetrics,
        pacer: pacing.Pacer,
        may_route: Callable[[], bool],
    ) -> None:
        self.calls: dict[str, Live] = {}
        self.agents = Agents(settings.dialer.wrap_up)
        self.breaker = Breaker()
        self.changed = asyncio.Event()
        self._settings = settings
        self._clock = settings.simulation.clock()
        self._hopper = hopper
        self._contacts = contacts
        self._metrics = metrics
        self._pacer = pacer
        self._may_route = may_route
        self._ami: Ami | None = None
        self._waiting: deque[tuple[str, float]] = deque()
        self._recent: OrderedDict[str, Lead] = OrderedDict()
        self._settling: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answered = 0
        self._abandoned = 0

    def use(self, ami: Ami) -> None:
        """The link by which calls are redirected and hung up."""
        self._ami = ami

    def knows(self, call_id: str) -> bool:
        """Whether a call lives here, or is being settled."""
        return call_id in self.calls or call_id in self._settling

    def busy(self) -> bool:
        """Whether a call lives or is being settled."""
        return bool(self.calls or self._tasks)

    def floor(self, now: float) -> pacing.Floor:
        """What the pacer sees at ``now`` (monotonic)."""
        flights = [now - live.began for live in self.calls.values() if live.call.state is State.ORIGINATING]
        return pacing.Floor(
            idle=self.agents.count(AgentState.IDLE),
            busy=self.agents.busy(now),
            in_flight=flights,
            waiting=len(self._waiting),
            free_lines=max(0, self._settings.dialer.lines - len(self.calls)),
        )

    def open(self, call_id: str, lead: Lead) -> None:
        """A call begins (or is found alive): from now on its signals are followed."""
        if any(live.lead.phone_ref == lead.phone_ref for live in self.calls.values()):
            self._metrics.never_events.labels(NeverEvent.SECOND_CALL_AT_ONCE.value).inc()
            log.error("call %s goes to a person who is being called already", call_id)
        self.calls[call_id] = Live(Call(call_id), lead, time.monotonic())
        self._remember(call_id, lead)

    def undo(self, call_id: str, why: str) -> None:
        """A call that is on record as attempted was certainly not placed: say so, and put its lead back."""
        live = self.calls.pop(call_id)
        told = self.tell(ContactKind.ENDED, live.lead, call_id, outcome=Outcome.FAILED, detail=f"not placed: {why}")
        self._settling.add(call_id)
        self.spawn(self._unreserve(call_id, told))

    async def _unreserve(self, call_id: str, told: asyncio.Future[None]) -> None:
        await told
        await self.insist(lambda: self._hopper.unreserve(call_id, self._clock.now()))
        self._settling.discard(call_id)

    def on_event(self, message: Message) -> None:
        """An AMI event."""
        match signals.read(message, time.time()):
            case signals.OfCall(call_id, signal):
                self.signal(call_id, signal)
            case signals.OfAgent(agent_id, state) if agent_id:
                self._agent(agent_id, state)
            case signals.Reported(call_id, agent_id, disposition):
                self._report(call_id, agent_id, disposition)

    def signal(self, call_id: str, signal: Signal) -> None:
        """Bring a signal to its call and do what follows."""
        live = self.calls.get(call_id)
        if live is None:
            if isinstance(signal, calls.Answered):
                log.warning("call %s was answered after it was given up; the safe-harbour message plays", call_id)
            return
        live.missing_since = None
        live.call, effects = calls.step(live.call, signal)
        for effect in effects:
            self._do(effect, live)
        self.changed.set()

    def tick(self, now: float, seconds: float) -> None:
        """Once in a while: end wrap-ups, free agents whose call did not come, show the floor. ``now`` is monotonic."""
        for lasted in self.agents.tick(now):
            self._pacer.observe(pacing.WrapUpEnded(lasted))
        for agent in self.agents.waiting_longer(CONNECT_SECONDS, now):
            log.warning("agent %s got no shopper within %.0f s; idle again", agent.agent_id, CONNECT_SECONDS)
            self.agents.release(agent.call_id or "", now)
        for state in AgentState:
            self._metrics.agents.labels(state.value).set(self.agents.count(state))
        for call_state in CallState:
            count = sum(live.call.state.value == call_state.value for live in self.calls.values())
            self._metrics.calls_now.labels(call_state.value).set(count)
        working = sum(agent.state in WORKING for agent in self.agents)
        self._metrics.agent_busy.inc(seconds * working)
        self._metrics.agent_staffed.inc(seconds * (working + self.agents.count(AgentState.IDLE)))
        self._match()
        self.changed.set()

    def tell(self, kind: ContactKind, lead: Lead, call_id: str, **more: Any) -> asyncio.Future[None]:
        """Queue a contact event; see `Contacts.post`."""
        wall = time.time()
        event = ContactEvent(
            contact_id=call_id,
            lead_id=lead.lead_id,
            shopper_id=lead.shopper_id,
            cart_id=lead.cart_id,
            channel=Channel.VOICE,
            kind=kind,
            time=self._clock.at(wall),
            campaign=self._settings.dialer.campaign,
            wall=wall,
            **more,
        )
        return self._contacts.post(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; `busy` until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a step of a call failed", exc_info=error)

    async def close(self) -> None:
        """Give up what is under way: it is found again in Redis."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat an idempotent step until Redis has taken it."""
        while True:
            try:
                return await step()
            except Unavailable as error:
                log.debug("repeated: %s", error)
                await asyncio.sleep(REDIS_RETRY_SECONDS)

    def _do(self, effect: Effect, live: Live) -> None:
        match effect:
            case Effect.FIND_AGENT:
                self._answer(live)
            case Effect.TELL_CONNECTED:
                self._connect(live)
            case Effect.TELL_ABANDONED:
                self._abandon(live)
            case Effect.HANG_UP:
                self.tell(ContactKind.WITHDRAWN, live.lead, live.call.call_id, detail=live.call.withdrawn)
                self.spawn(self._hang_up(live.call.call_id))
            case Effect.AWAIT_REST:
                loop = asyncio.get_running_loop()
                loop.call_later(GRACE_SECONDS, self.signal, live.call.call_id, calls.GraceOver())
            case Effect.END:
                self._end(live)

    def _answer(self, live: Live) -> None:
        now = time.monotonic()
        self._rang(live, pacing.Kind.HUMAN)
        self.tell(ContactKind.ANSWERED, live.lead, live.call.call_id)
        self._waiting.append((live.call.call_id, now + LAST_CHANCE_SECONDS))
        self._match()

    def _match(self) -> None:
        """Give each answered shopper, oldest first, the agent who has been idle longest."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][1] < now:
            self._waiting.popleft()
        if not self._may_route():
            return
        while self._waiting and (agent := self.agents.assign(self._waiting[0][0], now)):
            call_id, _ = self._waiting.popleft()
            self.spawn(self._redirect(call_id, agent))

    async def _redirect(self, call_id: str, agent: str) -> None:
        try:
            answer = await self._link().send(
                "Redirect", Channel=call_id, Context="ringback-connect", Exten=agent, Priority=1
            )
        except (NotConnected, OutcomeUnknown) as error:
            log.warning("call %s was not handed to agent %s: %s", call_id, agent, error)
            return
        if not answer.success:
            # As a rule the shopper has hung up meanwhile.
            log.info("call %s was not handed to agent %s: %s", call_id, agent, answer.message)
            self.agents.release(call_id, time.monotonic())
            self.changed.set()

    async def _hang_up(self, call_id: str) -> None:
        try:
            await self._link().send("Hangup", Channel=call_id, Cause=16)
        except (NotConnected, OutcomeUnknown) as error:
            log.warning("call %s could not be hung up: %s", call_id, error)

    def _link(self) -> Ami:
        if self._ami is None:
            raise NotConnected("there is no link to Asterisk yet")
        return self._ami

    def _connect(self, live: Live) -> None:
        call = live.call
        self._unqueue(call.call_id)
        self._rang(live, pacing.Kind.HUMAN)
        self.agents.connected(call.agent or "", call.call_id, time.monotonic())
        self.tell(ContactKind.CONNECTED, live.lead, call.call_id, agent=call.agent, wait_seconds=call.wait_seconds)
        self._pacer.observe(pacing.Connected())
        if call.wait_seconds is not None:
            self._metrics.answer_to_agent.observe(call.wait_seconds)

    def _abandon(self, live: Live) -> None:
        self._unqueue(live.call.call_id)
        self.agents.release(live.call.call_id, time.monotonic())
        self._abandoned += 1
        self._rang(live, pacing.Kind.HUMAN)
        self._show_abandoned()
        self._pacer.observe(pacing.Abandoned())

    def _end(self, live: Live) -> None:
        call, outcome, now = live.call, live.call.outcome or Outcome.UNKNOWN, time.monotonic()
        del self.calls[call.call_id]
        self._unqueue(call.call_id)
        talked = self.agents.release(call.call_id, now)
        if talked is not None:
            self._metrics.talk_time.observe(talked)
            self._pacer.observe(pacing.TalkEnded(talked))
        self._rang(live, _KIND_OF.get(outcome, pacing.Kind.FAILED))
        self._metrics.calls.labels(outcome.value).inc()
        self._judge_trunk(outcome, now)
        self._settling.add(call.call_id)
        told = self.tell(
            ContactKind.ENDED,
            live.lead,
            call.call_id,
            agent=call.agent,
            outcome=outcome,
            wait_seconds=call.wait_seconds,
            talk_seconds=call.talk_seconds,
            detail=call.withdrawn,
        )
        self.spawn(self._settle(call.call_id, outcome, told))

    async def _settle(self, call_id: str, outcome: Outcome, told: asyncio.Future[None]) -> None:
        # The person stays locked until the end of the call is on record.
        await told
        retry = retry_at(outcome, self._clock.now(), self._settings.compliance)
        await self.insist(lambda: self._hopper.settle(call_id, outcome, retry))
        self._settling.discard(call_id)
        self.changed.set()

    def _judge_trunk(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.FAILED:
            if self.breaker.failed(now):
                log.error(
                    "calls fail one after the other: is the trunk dead? Dialling pauses; see `pjsip show endpoints`"
                )
        elif outcome is not Outcome.UNKNOWN:
            self.breaker.worked()

    def _rang(self, live: Live, kind: pacing.Kind) -> None:
        if not live.rang:
            live.rang = True
            seconds = time.monotonic() - live.began
            self._metrics.ring_time.observe(seconds)
            self._pacer.observe(pacing.Resolved(kind, seconds))
            self._answered += kind is pacing.Kind.HUMAN
            self._show_abandoned()

    def _show_abandoned(self) -> None:
        self._metrics.abandoned_ratio.set(self._abandoned / max(self._answered, 1))

    def _unqueue(self, call_id: str) -> None:
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] != call_id)

    def _agent(self, agent_id: str, state: str) -> None:
        now = time.monotonic()
        match state:
            case "ready":
                self.agents.ready(agent_id, now)
            case "paused":
                self.agents.paused(agent_id, now)
            case _:
                self.agents.gone(agent_id, now)
        # A shopper who waits is matched at the next tick: "ready" is said on the way into the conference.
        self.changed.set()

    def _report(self, call_id: str, agent_id: str, reported: str) -> None:
        lead = self._recent.get(call_id)
        if lead is None or reported not in list(Disposition):
            log.warning("agent %s: no call %s, or no disposition %r; not recorded", agent_id, call_id, reported)
            return
        disposition = Disposition(reported)
        self._metrics.dispositions.labels(disposition.value).inc()
        self.tell(ContactKind.DISPOSITION, lead, call_id, agent=agent_id, disposition=disposition)
        if disposition is Disposition.DO_NOT_CALL:
            self.tell(ContactKind.OPTED_OUT, lead, call_id, agent=agent_id)
            self.spawn(self._never_again(lead))

    async def _never_again(self, lead: Lead) -> None:
        at = self._clock.now()
        await self.insist(lambda: self._hopper.suppress(lead.phone_ref))
        await self.insist(lambda: self._hopper.withdraw(lead.shopper_id, "opted_out", at, lead.phone_ref))

    def _remember(self, call_id: str, lead: Lead) -> None:
        """Keep the lead for a disposition that comes after the call."""
        self._recent[call_id] = lead
        if len(self._recent) > REMEMBERED_CALLS:
            self._recent.popitem(last=False)


_KIND_OF = {
    Outcome.CONNECTED: pacing.Kind.HUMAN,
    Outcome.ABANDONED: pacing.Kind.HUMAN,
    Outcome.HUNG_UP: pacing.Kind.HUMAN,
    Outcome.BUSY: pacing.Kind.BUSY,
    Outcome.DECLINED: pacing.Kind.BUSY,
    Outcome.NO_ANSWER: pacing.Kind.NO_ANSWER,
}

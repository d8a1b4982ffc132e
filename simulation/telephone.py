"""The telephone network: calls, agents' nailed-up legs, and the dialplan of ``deploy/asterisk/extensions.conf`` played.

Where the real dialplan is a rule of law it is followed to the letter: an answered shopper who is not redirected within
1.8 seconds hears the safe-harbour message, and that time is never paced.
"""

import asyncio
import itertools
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from simulation.ami_messages import (
    NO_EXTENSION,
    Channel,
    ChannelState,
    Event,
    Originate,
    Refused,
    hangup_event,
    originate_response,
    ringing_event,
    user_event,
)
from simulation.fates import Ending, Fate
from simulation.legs import Leg, far_half, unique_id

ANSWERED = "ringback-answered"
AMD = "ringback-amd"
CONNECT = "ringback-connect"
SAFE_HARBOUR = "ringback-safe-harbour"
AGENT = "ringback-agent"
SHOPPERS = "shoppers"
# Where agents' legs rest between calls.
HOLDING = "ringback-agents,participant,e(s)"

# Reasons of an OriginateResponse.
FAILED, RANG_OUT, ANSWER = 0, 3, 4

SAFE_HARBOUR_AFTER = 1.8
SAFE_HARBOUR_LASTS = 3.0
# In which a key may still be pressed.
OPT_OUT_WAIT = 3.0
# The detection of answering machines, where it is asked for: every greeting is found to be a person's.
AMD_LASTS = 1.0
AMD_WAIT = 1.2
_SHOPPER = re.compile(r"Local/(\d{4,15})@shoppers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation that has ended. ``seconds`` are as long as they lasted on the wall."""

    channel_id: str
    call_id: str
    number: str
    agent: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Goto:
    context: str
    exten: str


@dataclass(frozen=True, slots=True)
class _HangUp:
    cause: int


_Command = _Goto | _HangUp


@dataclass(slots=True)
class _Call:
    leg: Leg
    asked: Originate
    number: str
    fate: Fate
    cause: int = 16
    leaves: float = float("inf")
    commands: asyncio.Queue[_Command] = field(default_factory=asyncio.Queue)

    async def next(self, seconds: float) -> _Command | None:
        """What is asked of the call within so many seconds, or None."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self.commands.get()
        except TimeoutError:
            return None


@dataclass(slots=True)
class _Agent:
    leg: Leg
    talking: _Call | None = None
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Telephone:
    """The network behind `simulation.ami.AmiServer`. Use it from one event loop.

    ``fate(number, attempt)`` says what becomes of the n-th call to a number; ``dialled(channel_id, number)`` is told of
    each call before it rings; ``talked(talk)`` of each conversation when it is over.
    """

    def __init__(
        self,
        fate: Callable[[str, int], Fate],
        *,
        dialled: Callable[[str, str], None] = lambda channel_id, number: None,
        talked: Callable[[Talk], None] = lambda talk: None,
    ) -> None:
        self._fate = fate
        self._dialled = dialled
        self._talked = talked
        self._listeners: list[Callable[[Event], None]] = []
        self._calls: dict[str, _Call] = {}
        self._agents: dict[str, _Agent] = {}
        self._attempts: dict[str, int] = {}
        self._abandoned: deque[str] = deque(maxlen=100)
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._dialplan: dict[str, Callable[[_Call, str], Awaitable[_Goto | None]]] = {
            ANSWERED: self._answered,
            AMD: self._amd,
            CONNECT: self._connect,
            SAFE_HARBOUR: self._safe_harbour,
        }

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event from now on."""
        self._listeners.append(listener)

    def channels(self) -> Sequence[Channel]:
        """All legs at this moment."""
        shoppers = [leg for call in self._calls.values() for leg in (call.leg.shown(), far_half(call.leg, call.number))]
        return shoppers + [agent.leg.shown() for agent in self._agents.values()]

    def variable(self, name: str) -> str:
        """A global variable of the dialplan, empty where there is none."""
        return "".join(f"{call_id} " for call_id in reversed(self._abandoned)) if name == "RINGBACK_ABANDONED" else ""

    def live_calls(self, number: str) -> int:
        """How many calls to a number there are at this moment."""
        return sum(call.number == number for call in self._calls.values())

    def originate(self, asked: Originate) -> None:
        """Dial a shopper; what becomes of it is told by events."""
        if asked.context not in self._dialplan:
            raise Refused(NO_EXTENSION)
        shopper = _SHOPPER.fullmatch(asked.channel)
        suffix = next(self._numbers)
        uniqueid = asked.channel_id or unique_id(suffix)
        if shopper is None or self._is_taken(uniqueid):
            # No channel is made: there is no Hangup either.
            self._later(originate_response(asked, None, 0))
            return
        number = shopper[1]
        self._dialled(uniqueid, number)
        self._attempts[number] = self._attempts.get(number, 0) + 1
        leg = Leg(f"{asked.channel}-{suffix:08x};1", uniqueid, SHOPPERS, number, call_id=asked.call_id)
        call = _Call(leg, asked, number, self._fate(number, self._attempts[number]))
        self._calls[uniqueid] = call
        task = asyncio.create_task(self._live(call), name=f"call {uniqueid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def redirect(self, channel: str, context: str, exten: str) -> None:
        """Send an answered call elsewhere in the dialplan. One that still rings is refused; Asterisk would move it."""
        call = self._find(channel)
        if call is None:
            raise Refused(f"Channel does not exist: {channel}")
        if call.leg.state is not ChannelState.UP:
            raise Refused("Redirect failed, channel not up.")
        call.commands.put_nowait(_Goto(context, exten))

    def hang_up(self, channel: str, cause: int) -> None:
        """End a call or an agent's leg."""
        for agent_id, agent in tuple(self._agents.items()):
            if channel in (agent.leg.name, agent.leg.uniqueid):
                self.agent_leaves(agent_id)
                return
        call = self._find(channel)
        if call is None:
            raise Refused("No such channel")
        call.commands.put_nowait(_HangUp(cause))

    def agent_arrives(self, agent: str) -> None:
        """Nail an agent's leg up."""
        suffix = next(self._numbers)
        leg = Leg(
            f"PJSIP/{agent}-{suffix:08x}",
            unique_id(suffix),
            AGENT,
            agent,
            ChannelState.UP,
            "BridgeWait",
            HOLDING,
        )
        self._agents[agent] = _Agent(leg)
        self._agents[agent].idle.set()
        self.agent_tells(agent, "ready")

    async def until_idle(self, agent: str) -> bool:
        """Wait while an agent talks to a shopper; False when the agent's leg is not up any more."""
        if agent in self._agents:
            await self._agents[agent].idle.wait()
        return agent in self._agents

    def agent_tells(self, agent: str, state: str) -> None:
        """An agent says ``ready`` or ``paused``; nobody hears one who is not logged in."""
        if agent in self._agents:
            self._emit(user_event(self._agents[agent].leg.shown(), "RingbackAgent", Agent=agent, State=state))

    def agent_leaves(self, agent: str) -> None:
        """An agent hangs up the nailed-up leg; who talked to the agent is hung up too."""
        gone = self._agents.pop(agent)
        if gone.talking:
            gone.talking.commands.put_nowait(_HangUp(16))
        self._emit(user_event(gone.leg.shown(), "RingbackAgent", Agent=agent, State="gone"))
        self._emit(hangup_event(gone.leg.shown(), 16))

    def report(self, call_id: str, agent: str, disposition: str) -> None:
        """An agent reports what came of a conversation."""
        self._emit(user_event(None, "RingbackDisposition", CallID=call_id, Agent=agent, Disposition=disposition))

    async def end_calls(self) -> None:
        """Hang up all calls, and return when that is told."""
        for call in self._calls.values():
            call.commands.put_nowait(_HangUp(16))
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def close(self) -> None:
        """Drop all calls without a word, as a network that is switched off."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _later(self, event: Event) -> None:
        asyncio.get_running_loop().call_soon(self._emit, event)

    def _find(self, channel: str) -> _Call | None:
        return next((c for c in self._calls.values() if channel in (c.leg.name, c.leg.uniqueid)), None)

    def _is_taken(self, uniqueid: str) -> bool:
        """Asterisk compares only as many characters as the new id has: a prefix of a live one is refused."""
        return any(live.lower().startswith(uniqueid.lower()) for live in self._calls)

    async def _live(self, call: _Call) -> None:
        uniqueid = call.leg.uniqueid
        try:
            reason = await self._dial(call)
            place = _Goto(call.asked.context, call.asked.exten) if reason == ANSWER else None
            if place is not None:
                # In Asterisk two threads tell of these, so either may come first.
                told = originate_response(call.asked, call.leg.shown(), reason)
                if call.fate.ending is Ending.HANGS_UP_EARLY:
                    self._later(told)
                else:
                    self._emit(told)
            while place is not None:
                call.leg.context, call.leg.exten = place.context, place.exten
                step = self._dialplan.get(place.context)
                place = await step(call, place.exten) if step else None
        finally:
            del self._calls[uniqueid]
        ends = [hangup_event(call.leg.shown(), call.cause)]
        if reason != ANSWER:
            failed = originate_response(call.asked, None, reason)
            hangs_up_first = call.cause in (17, 21)
            ends = [*ends, failed] if hangs_up_first else [failed, *ends]
        for event in ends:
            self._emit(event)

    async def _dial(self, call: _Call) -> int:
        """Ring until answered or failed, and return the reason of the OriginateResponse."""
        if call.fate.ending.rings:
            call.leg.state = ChannelState.RINGING
            self._emit(ringing_event(call.leg.shown()))
        command = await call.next(min(call.fate.ring, call.asked.timeout))
        if isinstance(command, _HangUp):
            call.cause = command.cause
        elif call.fate.ring > call.asked.timeout:
            call.cause = 19
            return RANG_OUT
        elif call.fate.ending.answers:
            call.leg.state = ChannelState.UP
            return ANSWER
        else:
            call.cause = call.fate.ending.cause
        return FAILED

    async def _wait(self, call: _Call, seconds: float) -> _Command | None:
        """Wait for a command, at most until the shopper hangs up (then it is a `_HangUp`)."""
        left = call.leaves - time.monotonic()
        command = await call.next(min(seconds, left))
        if command is None and left <= seconds:
            return _HangUp(16)
        return command

    def _after(self, call: _Call, command: _Command | None, otherwise: _Goto | None) -> _Goto | None:
        if isinstance(command, _HangUp):
            call.cause = command.cause
            return None
        return command or otherwise

    def _tell(self, call: _Call, stage: str, **fields: str) -> None:
        self._emit(user_event(call.leg.shown(), "Ringback", Stage=stage, CallID=call.leg.call_id, **fields))

    async def _answered(self, call: _Call, _exten: str) -> _Goto | None:
        if call.fate.ending is Ending.HANGS_UP_EARLY:
            call.leaves = time.monotonic() + call.fate.talk
        self._tell(call, "answered", Amd=call.asked.amd)
        if call.asked.amd:
            return _Goto(AMD, "s")
        call.leg.application, call.leg.data = "Wait", str(SAFE_HARBOUR_AFTER)
        command = await self._wait(call, SAFE_HARBOUR_AFTER)
        return self._after(call, command, _Goto(SAFE_HARBOUR, "s"))

    async def _amd(self, call: _Call, _exten: str) -> _Goto | None:
        call.leg.application, call.leg.data = "AMD", ""
        command = await self._wait(call, AMD_LASTS)
        if command is None:
            self._tell(call, "amd", Status="HUMAN", Cause="HUMAN-600-600", Dropped="0")
            command = await self._wait(call, AMD_WAIT)
        return self._after(call, command, _Goto(SAFE_HARBOUR, "s"))

    async def _safe_harbour(self, call: _Call, _exten: str) -> _Goto | None:
        self._tell(call, "abandoned")
        self._abandoned.append(call.leg.call_id)
        call.leg.application, call.leg.data = "Background", "safe-harbour,m"
        command = await self._wait(call, SAFE_HARBOUR_LASTS)
        if command is None:
            self._tell(call, "safe-harbour-played", Status="SUCCESS")
            call.leg.application, call.leg.data = "WaitExten", f"{OPT_OUT_WAIT:g}"
            command = await self._wait(call, OPT_OUT_WAIT)
        return self._after(call, command, None)

    async def _connect(self, call: _Call, exten: str) -> _Goto | None:
        agent = self._agents.get(exten)
        if agent is None or agent.talking:
            return _Goto(SAFE_HARBOUR, "s")
        agent.talking = call
        agent.idle.clear()
        call.leg.application, call.leg.data = "Bridge", agent.leg.name
        self._tell(call, "connected", Agent=exten)
        started = time.monotonic()
        if call.fate.ending is Ending.HUMAN:
            call.leaves = started + call.fate.talk
        try:
            command = await self._wait(call, float("inf"))
        finally:
            agent.talking = None
            agent.idle.set()
        seconds = time.monotonic() - started
        self._talked(
            Talk(
                channel_id=call.leg.uniqueid, call_id=call.leg.call_id, number=call.number, agent=exten, seconds=seconds
            )
        )
        return self._after(call, command, None)

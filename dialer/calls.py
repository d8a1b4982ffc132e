"""One call, from originate to hang-up: a pure state machine.

`step` takes a call and a signal from Asterisk and returns the call after it with what must be done now. Signals may
come in any order: the answer's UserEvent before the OriginateResponse, the Hangup before or after it.

Which outcome a call has follows from OriginateResponse.Reason, Hangup.Cause and Hangup.ChannelStateDesc together; none
of them is enough. Reasons are Asterisk's control frames (3 ringing, so it rang until the time-out; 5 busy; 8
congestion; 0 look at the cause); causes are those of ITU-T Q.850. The SIP answer, where Asterisk tells it (Hangup's
TechCause), is heard only where the cause that Asterisk makes of it says too little or something wrong.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import uuid4

from ringback.records import Outcome

_CALL_ID = re.compile(r"[0-9a-f]{32}")


def new_call_id() -> str:
    """The id of a call yet to be made, which becomes its channel's Uniqueid and Linkedid."""
    return uuid4().hex


def is_call_id(text: str) -> bool:
    """Whether a text is 32 lower-case hex digits.

    All ids have one length: Asterisk compares a new id with those that live as far as the new one goes, and refuses a
    prefix of any of them.
    """
    return _CALL_ID.fullmatch(text) is not None


class State(StrEnum):
    """Where a call is."""

    ORIGINATING = "originating"
    ANSWERED = "answered"
    CONNECTED = "connected"
    ABANDONED = "abandoned"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Originated:
    """OriginateResponse: success."""


@dataclass(frozen=True, slots=True)
class OriginateFailed:
    """OriginateResponse: failure, or an originate that Asterisk refused at once (``reason`` None, ``refused``)."""

    reason: int | None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Ringing:
    """The far end has the call: it rings, or plays something before the answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The shopper has answered, at Asterisk's time. ``amd``: an `AmdVerdict` comes before an agent may."""

    at: float
    amd: bool = False


@dataclass(frozen=True, slots=True)
class AmdVerdict:
    """What the answering-machine detection made of the greeting, and why, in Asterisk's words.

    ``dropped``: it took it for a machine and hangs up; whenever that was a person, the call was a silent one.
    """

    status: str
    cause: str
    at: float
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """The shopper is bridged with the agent, at Asterisk's time."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Nobody was free in time: the safe-harbour message starts."""

    at: float


@dataclass(frozen=True, slots=True)
class MessageOver:
    """The safe-harbour message was played to its end, or (``played`` False) could not be played at all."""

    played: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages of this call may have been missed: nobody heard what Asterisk said."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The channel is gone. ``cause`` is Q.850, ``tech_cause`` the SIP answer where Asterisk tells it."""

    cause: int
    channel_state: str
    at: float
    tech_cause: str | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The shopper must not be called any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class NobodyLeft:
    """No agent is there any more, and the phone has rung for as long as it must."""


@dataclass(frozen=True, slots=True)
class GraceOver:
    """The second half of a pair of messages did not come in time."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Asterisk has no channel of this call, and the messages that told its end were missed."""


Onward = Ringing | Answered | AmdVerdict | Connected | Abandoned | MessageOver | Missed | Withdrawn | NobodyLeft
Outward = Originated | OriginateFailed | Hangup | GraceOver | Lost
Signal = Onward | Outward


class Effect(StrEnum):
    """What must be done after a step."""

    FIND_AGENT = "find_agent"
    TELL_CONNECTED = "tell_connected"
    TELL_ABANDONED = "tell_abandoned"
    TELL_WITHDRAWN = "tell_withdrawn"
    HANG_UP = "hang_up"
    AWAIT_REST = "await_rest"
    END = "end"


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Times are Asterisk's, in epoch seconds; ``outcome`` is set when the state is ENDED."""

    call_id: str
    state: State = State.ORIGINATING
    response: OriginateFailed | Originated | None = None
    hangup: Hangup | None = None
    rang: bool = False
    answered_at: float | None = None
    amd_awaited: bool = False
    amd: AmdVerdict | None = None
    connected_at: float | None = None
    agent: str | None = None
    message: MessageOver | None = None
    missed: bool = False
    withdrawn: str | None = None
    given_up: bool = False
    outcome: Outcome | None = None

    @property
    def wait_seconds(self) -> float | None:
        """From the answer to the agent."""
        if self.answered_at is None or self.connected_at is None:
            return None
        return max(0.0, self.connected_at - self.answered_at)

    @property
    def talk_seconds(self) -> float | None:
        """How long agent and shopper talked."""
        if self.connected_at is None or self.hangup is None:
            return None
        return max(0.0, self.hangup.at - self.connected_at)

    @property
    def message_begun(self) -> bool:
        """Whether the safe-harbour message was begun, as far as is known: the call was abandoned, and it could be."""
        abandoned = self.state is State.ABANDONED or self.outcome is Outcome.ABANDONED
        return abandoned and (self.message is None or self.message.played)

    @property
    def message_played(self) -> bool | None:
        """Whether the shopper heard all of the message; None of a call that got none, and where it is not known.

        False: it could not be played, or the shopper left, was put through or pressed the key before its end.
        """
        if self.message is not None:
            return self.message.played
        return False if self.message_begun and self.hangup is not None and not self.missed else None


Step = tuple[Call, list[Effect]]


def step(call: Call, signal: Signal) -> Step:
    """The call after a signal, and what must be done now. A call that has ended ignores all."""
    if call.state is State.ENDED:
        return call, []
    match signal:
        case Originated() | OriginateFailed() | Hangup() | GraceOver() | Lost():
            return _outward(call, signal)
        case _:
            return _onward(call, signal)


def _onward(call: Call, signal: Onward) -> Step:
    match signal:
        case Ringing():
            return replace(call, rang=True), []
        case Answered(at, amd) if call.state is State.ORIGINATING:
            effects = [] if amd else [Effect.FIND_AGENT]
            return replace(call, state=State.ANSWERED, answered_at=at, amd_awaited=amd), effects
        case AmdVerdict(dropped=dropped) if call.state is State.ANSWERED and call.amd_awaited:
            return replace(call, amd=signal, amd_awaited=False), [] if dropped else [Effect.FIND_AGENT]
        case Connected(agent, at) if call.connected_at is None:
            # Past its deadline a call stays abandoned, whoever talks to the shopper then: the law counts it.
            state = State.ABANDONED if call.state is State.ABANDONED else State.CONNECTED
            return replace(call, state=state, agent=agent, connected_at=at), [Effect.TELL_CONNECTED]
        # After Connected: the agent's leg was gone before the two were bridged.
        case Abandoned() if call.state is not State.ABANDONED:
            return replace(call, state=State.ABANDONED), [Effect.TELL_ABANDONED]
        # Whoever got the message was abandoned, though nobody heard of it before.
        case MessageOver() if call.message is None:
            effects = [] if call.state is State.ABANDONED else [Effect.TELL_ABANDONED]
            return replace(call, state=State.ABANDONED, message=signal), effects
        case Missed():
            return replace(call, missed=True), []
        case Withdrawn(reason) if call.state is State.ORIGINATING and not call.withdrawn:
            effects = [Effect.TELL_WITHDRAWN] if call.given_up else [Effect.TELL_WITHDRAWN, Effect.HANG_UP]
            return replace(call, withdrawn=reason, given_up=True), effects
        case NobodyLeft() if call.state is State.ORIGINATING and not call.given_up:
            return replace(call, given_up=True), [Effect.HANG_UP]
        case _:
            return call, []


def _outward(call: Call, signal: Outward) -> Step:
    match signal:
        case Lost():
            return _end(call, Outcome.ABANDONED if call.state is State.ABANDONED else Outcome.UNKNOWN)
        case OriginateFailed(refused=True):
            return _end(replace(call, response=signal), Outcome.FAILED)
        case Originated() | OriginateFailed():
            return _settle_pair(replace(call, response=signal))
        case Hangup():
            return _settle_pair(replace(call, hangup=signal))
        case GraceOver() if call.state is State.ORIGINATING and (call.hangup or _failed(call)):
            return _end(call, unanswered(call))
        case _:
            return call, []


def _failed(call: Call) -> bool:
    return isinstance(call.response, OriginateFailed)


def _settle_pair(call: Call) -> Step:
    """An unanswered call ends when both its OriginateResponse and its Hangup are known."""
    if call.state is State.ORIGINATING:
        if call.hangup and isinstance(call.response, Originated):
            return _end(call, Outcome.HUNG_UP)
        if call.hangup and call.response:
            return _end(call, unanswered(call))
        return call, [Effect.AWAIT_REST] if call.hangup or _failed(call) else []
    if call.hangup is None:
        return call, []
    ended = {
        State.CONNECTED: Outcome.CONNECTED,
        State.ABANDONED: Outcome.ABANDONED,
        State.ANSWERED: Outcome.HUNG_UP,
    }
    dropped = call.amd is not None and call.amd.dropped and call.state is State.ANSWERED
    return _end(call, Outcome.MACHINE if dropped else ended[call.state])


def _end(call: Call, outcome: Outcome) -> Step:
    return replace(call, state=State.ENDED, outcome=outcome), [Effect.END]


_RINGING, _BUSY_FRAME, _CONGESTION_FRAME = 3, 5, 8
_BY_CAUSE = {
    1: Outcome.INVALID,  # unallocated number
    22: Outcome.INVALID,  # number changed
    28: Outcome.INVALID,  # invalid number format
    17: Outcome.BUSY,
    18: Outcome.NO_ANSWER,  # no user responding
    19: Outcome.NO_ANSWER,  # user alerting, no answer
    20: Outcome.NO_ANSWER,  # subscriber absent
    21: Outcome.DECLINED,  # call rejected
    34: Outcome.CONGESTION,  # no circuit available
    38: Outcome.CONGESTION,  # network out of order
    41: Outcome.CONGESTION,  # temporary failure
    42: Outcome.CONGESTION,  # switching equipment congestion
    44: Outcome.CONGESTION,  # requested channel not available
}
# What Asterisk's cause hides: 21 is both "the shopper declined" and "the carrier does not know us".
_BY_SIP = {
    401: Outcome.FAILED,
    403: Outcome.FAILED,
    407: Outcome.FAILED,
    410: Outcome.INVALID,
    484: Outcome.INVALID,
    604: Outcome.INVALID,
    600: Outcome.BUSY,
    603: Outcome.DECLINED,
    607: Outcome.DECLINED,  # unwanted, RFC 8197
    608: Outcome.DECLINED,  # rejected on the way, RFC 8688
    503: Outcome.CONGESTION,
    504: Outcome.CONGESTION,
}


def unanswered(call: Call) -> Outcome:
    """The outcome of a call that was never answered, from what is known of its end.

    A time-out without ringing (channel state Down, no word of the far end) is a dead trunk, and so a failure: booked as
    "no answer" it would burn the whole list in silence. What we hung up ourselves says nothing of the trunk, unless it
    did not ring for as long as a phone must.
    """
    rang = call.rang or (call.hangup is not None and call.hangup.channel_state != "Down")
    outcome = _in_the_network(call, rang=rang)
    if not call.given_up or outcome is not Outcome.FAILED:
        return outcome
    if rang:
        return Outcome.NO_ANSWER
    return Outcome.UNKNOWN if call.withdrawn else Outcome.FAILED


def _in_the_network(call: Call, *, rang: bool) -> Outcome:
    reason = call.response.reason if isinstance(call.response, OriginateFailed) else None
    by_cause = _BY_CAUSE.get(call.hangup.cause, Outcome.FAILED) if call.hangup else Outcome.FAILED
    if reason == _BUSY_FRAME:
        return Outcome.BUSY
    if reason == _CONGESTION_FRAME:
        return Outcome.CONGESTION
    if reason == _RINGING or (reason is None and by_cause is Outcome.NO_ANSWER):
        return Outcome.NO_ANSWER if rang else Outcome.FAILED
    return _BY_SIP.get(_sip_code(call.hangup), by_cause)


def _sip_code(hangup: Hangup | None) -> int:
    text = (hangup.tech_cause or "") if hangup else ""
    return int(text) if text.isascii() and text.isdigit() else 0

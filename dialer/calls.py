"""One call, from originate to hang-up: a pure state machine.

`step` takes a call and a signal from Asterisk and returns the call after it with what must be done now. Signals may
come in any order: the answer's UserEvent before the OriginateResponse, the Hangup before or after it.

Which outcome a call has follows from OriginateResponse.Reason, Hangup.Cause and Hangup.ChannelStateDesc together; none
of them is enough. Reasons are Asterisk's control frames (3 ringing, so it rang until the time-out; 5 busy; 8
congestion; 0 look at the cause); causes are those of ITU-T Q.850.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from ringback.records import Outcome


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
class Answered:
    """The shopper has answered, at Asterisk's time."""

    at: float


@dataclass(frozen=True, slots=True)
class Connected:
    """The shopper enters the agent's conference, at Asterisk's time."""

    agent: str
    at: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Nobody was free in time: the safe-harbour message starts."""

    at: float


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
class GraceOver:
    """The second half of a pair of messages did not come in time."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Asterisk has no channel of this call, and the messages that told its end were missed."""


Signal = (
    Originated | OriginateFailed | Answered | Connected | Abandoned | Hangup | Withdrawn | GraceOver | Lost
)  # fmt: skip


class Effect(StrEnum):
    """What must be done after a step."""

    FIND_AGENT = "find_agent"
    TELL_CONNECTED = "tell_connected"
    TELL_ABANDONED = "tell_abandoned"
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
    answered_at: float | None = None
    connected_at: float | None = None
    agent: str | None = None
    withdrawn: str | None = None
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


Step = tuple[Call, list[Effect]]


def step(call: Call, signal: Signal) -> Step:
    """The call after a signal, and what must be done now. A call that has ended ignores all."""
    if call.state is State.ENDED:
        return call, []
    match signal:
        case Answered() | Connected() | Abandoned() | Withdrawn():
            return _onward(call, signal)
        case _:
            return _outward(call, signal)


def _onward(call: Call, signal: Answered | Connected | Abandoned | Withdrawn) -> Step:
    match signal:
        case Answered(at) if call.state is State.ORIGINATING:
            return replace(call, state=State.ANSWERED, answered_at=at), [Effect.FIND_AGENT]
        case Connected(agent, at) if call.connected_at is None:
            # Past its deadline a call stays abandoned, whoever talks to the shopper then: the law counts it.
            state = State.ABANDONED if call.state is State.ABANDONED else State.CONNECTED
            return replace(call, state=state, agent=agent, connected_at=at), [Effect.TELL_CONNECTED]
        case Abandoned() if call.state in (State.ORIGINATING, State.ANSWERED):
            return replace(call, state=State.ABANDONED), [Effect.TELL_ABANDONED]
        case Withdrawn(reason) if call.state is State.ORIGINATING and not call.withdrawn:
            return replace(call, withdrawn=reason), [Effect.HANG_UP]
        case _:
            return call, []


def _outward(call: Call, signal: Originated | OriginateFailed | Hangup | GraceOver | Lost) -> Step:
    match signal:
        case Lost():
            return _end(call, Outcome.UNKNOWN)
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
    return _end(call, ended[call.state])


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


def unanswered(call: Call) -> Outcome:
    """The outcome of a call that was never answered, from what is known of its end.

    A time-out without ringing (channel state Down) is a dead trunk, and so a failure: booked as "no answer" it would
    burn the whole list in silence.
    """
    reason = call.response.reason if isinstance(call.response, OriginateFailed) else None
    cause = call.hangup.cause if call.hangup else 0
    rang = call.hangup is not None and call.hangup.channel_state != "Down"
    by_cause = _BY_CAUSE.get(cause, Outcome.FAILED)
    if reason == _BUSY_FRAME:
        outcome = Outcome.BUSY
    elif reason == _CONGESTION_FRAME:
        outcome = Outcome.CONGESTION
    elif reason == _RINGING or (reason is None and by_cause is Outcome.NO_ANSWER):
        outcome = Outcome.NO_ANSWER if rang else Outcome.FAILED
    else:
        outcome = by_cause
    # We hung up ourselves: nothing is wrong with the trunk.
    return Outcome.NO_ANSWER if call.withdrawn and outcome is Outcome.FAILED else outcome

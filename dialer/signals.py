"""What Asterisk's messages mean to the dialer: AMI events as small typed signals. Pure.

The dialplan's contract (deploy/asterisk/extensions.conf): UserEvents ``Ringback`` (Stage, CallID, Agent) of a call's
stages and ``RingbackAgent`` (Agent, State) of an agent's leg; the agent's desktop sends ``RingbackDisposition``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dialer import calls


@dataclass(frozen=True, slots=True)
class OfCall:
    """A signal to one call's state machine."""

    call_id: str
    signal: calls.Signal


@dataclass(frozen=True, slots=True)
class OfAgent:
    """An agent's leg is there, gone, or the agent takes a break."""

    agent_id: str
    state: Literal["ready", "gone", "paused"]


@dataclass(frozen=True, slots=True)
class Reported:
    """What an agent said about a call; not checked yet."""

    call_id: str
    agent_id: str
    disposition: str


def read(message: Mapping[str, str], received: float) -> OfCall | OfAgent | Reported | None:
    """What an AMI event means, None for what the dialer need not know.

    ``received`` (epoch seconds) stands in where Asterisk does not stamp its events.
    """
    match message.get("Event"):
        case "UserEvent":
            return _user_event(message, stamp(message, received))
        case "OriginateResponse":
            return OfCall(message.get("ActionID", ""), _response(message))
        case "Hangup":
            signal = calls.Hangup(
                cause=_number(message.get("Cause")) or 0,
                channel_state=message.get("ChannelStateDesc", ""),
                at=stamp(message, received),
                tech_cause=message.get("TechCause"),
            )
            return OfCall(message.get("Uniqueid", ""), signal)
        case _:
            return None


def stamp(message: Mapping[str, str], received: float) -> float:
    """Asterisk's own time of an event."""
    try:
        return float(message.get("Timestamp", received))
    except ValueError:
        return received


def _user_event(message: Mapping[str, str], at: float) -> OfCall | OfAgent | Reported | None:
    call_id, agent = message.get("CallID", ""), message.get("Agent", "")
    match message.get("UserEvent"), message.get("Stage"), message.get("State"):
        case "Ringback", "answered", _:
            return OfCall(call_id, calls.Answered(at))
        case "Ringback", "connected", _:
            return OfCall(call_id, calls.Connected(agent, at))
        case "Ringback", "abandoned", _:
            return OfCall(call_id, calls.Abandoned(at))
        case "RingbackAgent", _, ("ready" | "gone" | "paused") as state:
            return OfAgent(agent, state)
        case "RingbackDisposition", _, _:
            return Reported(call_id, agent, message.get("Disposition", ""))
        case _:
            return None


def _response(message: Mapping[str, str]) -> calls.Originated | calls.OriginateFailed:
    if message.get("Response") == "Success":
        return calls.Originated()
    return calls.OriginateFailed(_number(message.get("Reason")))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


@dataclass(frozen=True, slots=True)
class Present:
    """What lives in Asterisk: agents with a leg, and by call id the state of each call of ours."""

    agents: frozenset[str]
    calls: Mapping[str, calls.State]
    talking: Mapping[str, str]


def present(channels: Iterable[Mapping[str, str]], call_ids: Iterable[str]) -> Present:
    """Read a CoreShowChannels list. ``call_ids`` are the calls that may be there; ``talking`` is agent -> call."""
    ours = set(call_ids)
    agents: set[str] = set()
    found: dict[str, calls.State] = {}
    talking: dict[str, str] = {}
    for channel in channels:
        application, context = channel.get("Application", ""), channel.get("Context", "")
        conference = channel.get("ApplicationData", "").split(",") if application == "ConfBridge" else []
        room = conference[0].removeprefix("agent-") if conference else ""
        call_id = channel.get("Uniqueid", "")
        if call_id in ours:
            found[call_id] = _state(channel, context)
            if found[call_id] is calls.State.CONNECTED:
                talking[room or channel.get("Exten", "")] = call_id
        elif context == "ringback-agent" or conference[2:3] == ["ringback_agent"]:
            agents.add(room or channel.get("Exten", ""))
    return Present(frozenset(agents), found, talking)


def _state(channel: Mapping[str, str], context: str) -> calls.State:
    match context:
        case "ringback-connect":
            return calls.State.CONNECTED
        case "ringback-safe-harbour":
            return calls.State.ABANDONED
        case "ringback-answered" if channel.get("ChannelStateDesc") == "Up":
            return calls.State.ANSWERED
        case _:
            return calls.State.ORIGINATING

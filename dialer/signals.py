"""What Asterisk's messages mean to the dialer: AMI events as small typed signals. Pure.

The dialplan's contract (deploy/asterisk/extensions.conf): UserEvents ``Ringback`` (Stage, CallID and more) of a call's
stages and ``RingbackAgent`` (Agent, State) of an agent's leg; the agent's desktop sends ``RingbackDisposition``
(CallID, Agent, Disposition; of a callback CallbackAt, RFC 3339, and CallbackAgent where only that one is to make it),
and in preview mode ``RingbackPreview`` (CallID, Agent, State: accepted or skipped; see `dialer.previews`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
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
    """What an agent said about a call; not checked yet.

    ``callback_at`` (epoch seconds) is when the shopper asked to be called back, by ``callback_agent`` or, where that is
    None, by any agent.
    """

    call_id: str
    agent_id: str
    disposition: str
    callback_at: float | None = None
    callback_agent: str | None = None


@dataclass(frozen=True, slots=True)
class OptedOut:
    """The shopper pressed the key that means: do not call again."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an agent decided on a lead that was offered as a call, in preview mode; not checked yet."""

    call_id: str
    agent_id: str
    accepted: bool


Meaning = Chosen | OfCall | OfAgent | Reported | OptedOut


def read(message: Mapping[str, str], received: float) -> Meaning | None:
    """What an AMI event means, None for what the dialer need not know.

    ``received`` (epoch seconds) stands in where Asterisk does not stamp its events.
    """
    match message.get("Event"):
        case "UserEvent":
            return _user_event(message, stamp(message, received))
        case "DialState" if message.get("DialStatus") in ("RINGING", "PROGRESS"):
            return OfCall(message.get("DestUniqueid", ""), calls.Ringing())
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
    """Asterisk's own time of an event, ``received`` where it tells none."""
    try:
        at = float(message.get("Timestamp", received))
    except ValueError:
        return received
    return at if math.isfinite(at) else received


def _user_event(message: Mapping[str, str], at: float) -> Meaning | None:
    call_id, agent = message.get("CallID", ""), message.get("Agent", "")
    match message.get("UserEvent"), message.get("Stage"), message.get("State"):
        case "Ringback", "answered", _:
            return OfCall(call_id, calls.Answered(at, amd=bool(message.get("Amd"))))
        case "Ringback", "amd", _:
            return OfCall(call_id, _verdict(message, at))
        case "Ringback", "connected", _:
            return OfCall(call_id, calls.Connected(agent, at))
        case "Ringback", "abandoned", _:
            return OfCall(call_id, calls.Abandoned(at))
        case "Ringback", "safe-harbour-played", _ if message.get("Status") in ("SUCCESS", "FAILED"):
            return OfCall(call_id, calls.MessageOver(played=message["Status"] == "SUCCESS"))
        case "Ringback", "opted-out", _:
            return OptedOut(call_id)
        case "RingbackAgent", _, ("ready" | "gone" | "paused") as state:
            return OfAgent(agent, state)
        case "RingbackPreview", _, ("accepted" | "skipped") as state:
            return Chosen(call_id, agent, state == "accepted")
        case "RingbackDisposition", _, _:
            back = message.get("CallbackAgent") or None
            return Reported(call_id, agent, message.get("Disposition", ""), _moment(message.get("CallbackAt")), back)
        case _:
            return None


def _moment(text: str | None) -> float | None:
    """RFC 3339 with an offset, as epoch seconds; None for anything else."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _verdict(message: Mapping[str, str], at: float) -> calls.AmdVerdict:
    dropped = message.get("Dropped") == "1"
    return calls.AmdVerdict(message.get("Status", ""), message.get("Cause", ""), at, dropped)


def _response(message: Mapping[str, str]) -> calls.Originated | calls.OriginateFailed:
    if message.get("Response") == "Success":
        return calls.Originated()
    return calls.OriginateFailed(_number(message.get("Reason")))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


# A leg rests in BridgeWait, also while it talks: it was taken out of there. After a talk it goes to it again.
_NAILED_UP = frozenset({"BridgeWait", "Goto"})


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
        context, exten = channel.get("Context", ""), channel.get("Exten", "")
        call_id = channel.get("Uniqueid", "")
        if call_id in ours:
            found[call_id] = _state(channel, context)
            if found[call_id] is calls.State.CONNECTED:
                talking[exten] = call_id
        elif context == "ringback-agent" and channel.get("Application") in _NAILED_UP:
            agents.add(exten)
    return Present(frozenset(agents), found, talking)


def _state(channel: Mapping[str, str], context: str) -> calls.State:
    match context:
        case "ringback-connect":
            return calls.State.CONNECTED
        case "ringback-safe-harbour":
            return calls.State.ABANDONED
        case "ringback-answered" | "ringback-amd" if channel.get("ChannelStateDesc") == "Up":
            return calls.State.ANSWERED
        case _:
            return calls.State.ORIGINATING

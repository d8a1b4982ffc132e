"""The messages of Asterisk's manager protocol: actions read, events and channels rendered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ringback.errors import RingbackError

Header = tuple[str, str]
Headers = tuple[Header, ...]

LONGEST_ID = 149
SYSTEM_NAME = "ringback"
NO_EXTENSION = "Extension does not exist."

CAUSES = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    16: "Normal Clearing",
    17: "User busy",
    19: "User alerting, no answer",
    21: "Call Rejected",
    34: "Circuit/channel congestion",
}


class Refused(RingbackError):
    """The network does not do what an action asks; the message is the one that Asterisk gives."""


class ChannelState(IntEnum):
    """State of a channel, by Asterisk's numbers."""

    DOWN = 0
    RINGING = 5
    UP = 6

    @property
    def text(self) -> str:
        """As in ``ChannelStateDesc``."""
        return self.name.capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One leg as the manager shows it. ``created`` is ``time.time``."""

    name: str
    uniqueid: str
    state: ChannelState
    context: str
    exten: str
    created: float
    application: str = ""
    data: str = ""
    call_id: str = ""
    linkedid: str = ""

    def headers(self) -> Headers:
        """The headers by which Asterisk shows a channel, in its order."""
        return (
            ("Channel", self.name),
            ("ChannelState", str(int(self.state))),
            ("ChannelStateDesc", self.state.text),
            ("CallerIDNum", "<unknown>"),
            ("CallerIDName", "<unknown>"),
            ("ConnectedLineNum", "<unknown>"),
            ("ConnectedLineName", "<unknown>"),
            ("Language", "en"),
            ("AccountCode", ""),
            ("Context", self.context),
            ("Exten", self.exten),
            ("Priority", "1"),
            ("Uniqueid", self.uniqueid),
            ("Linkedid", self.linkedid or self.uniqueid),
            ("ChanVariable", f"RINGBACK_CALL_ID={self.call_id}"),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; ``privilege`` is the class that a user must be allowed to read."""

    name: str
    privilege: str
    headers: Headers


def user_event(channel: Channel | None, name: str, **fields: str) -> Event:
    """What the dialplan's UserEvent() tells, or a UserEvent action where there is no channel."""
    shown = channel.headers() if channel else ()
    return Event("UserEvent", "user,all", (*shown, ("UserEvent", name), *fields.items()))


def ringing_event(channel: Channel) -> Event:
    """The phone that is dialled rings."""
    dialled = tuple((f"Dest{name}", value) for name, value in channel.headers())
    return Event("DialState", "call,all", (*dialled, ("DialStatus", "RINGING")))


def hangup_event(channel: Channel, cause: int) -> Event:
    """The last event of a channel. ``cause`` is of Q.850."""
    headers = (*channel.headers(), ("Cause", str(cause)), ("Cause-txt", CAUSES.get(cause, "Unknown")))
    return Event("Hangup", "call,all", headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Originate:
    """What an Originate action asks for. ``timeout`` is seconds until an unanswered call is given up."""

    action_id: str
    channel: str
    channel_id: str
    context: str
    exten: str
    timeout: float
    call_id: str
    amd: str = ""


def originate_response(asked: Originate, channel: Channel | None, reason: int) -> Event:
    """The end of dialling, with ``reason`` 4 answered, 3 rang out, 0 else; the channel is None unless answered."""
    variables = ((f"ChanVariable({channel.name})", f"RINGBACK_CALL_ID={channel.call_id}"),) if channel else ()
    headers = (
        *((("ActionID", asked.action_id),) if asked.action_id else ()),
        ("Response", "Success" if channel else "Failure"),
        ("Channel", channel.name if channel else asked.channel),
        ("Context", asked.context),
        ("Exten", asked.exten),
        ("Reason", str(reason)),
        ("Uniqueid", channel.uniqueid if channel else asked.channel_id or "<null>"),
        ("CallerIDNum", "<unknown>"),
        ("CallerIDName", "<unknown>"),
        *variables,
    )
    return Event("OriginateResponse", "call,all", headers)


@dataclass(frozen=True, slots=True)
class Request:
    """An action as it came: names in any case, repeated ones kept."""

    headers: Headers

    def get(self, name: str) -> str:
        """The first value of a header, empty where there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def parse(block: bytes) -> Request:
    """Read one action, lines of ``Name: value``. A line without a colon is skipped, as Asterisk does."""
    pairs = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n"))
    return Request(tuple((name.strip(), value.strip()) for name, colon, value in pairs if colon))


def render(headers: Iterable[Header]) -> bytes:
    """One message on the wire."""
    return ("".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n").encode()


def asked_originate(request: Request) -> Originate:
    """Read an Originate action. Raises `Refused` with Asterisk's words where it can't be."""
    channel = request.get("Channel")
    if not channel:
        raise Refused("Channel not specified")
    if "/" not in channel:
        raise Refused("Invalid channel")
    timeout = request.get("Timeout") or "30000"
    if not timeout.isdigit():
        raise Refused("Invalid timeout")
    if len(request.get("ChannelId")) > LONGEST_ID:
        raise Refused(f"Uniqueid length exceeds maximum of {LONGEST_ID}\n")
    if request.get("Application"):
        raise Refused("Originate Access Forbidden: app or data blacklisted")
    if request.get("Async").lower() not in ("true", "yes", "1", "on"):
        raise Refused("this network originates with Async: true only")
    if not (request.get("Exten") and request.get("Context") and request.get("Priority")):
        raise Refused(NO_EXTENSION)
    variables = dict(pair.strip().partition("=")[::2] for value in request.all("Variable") for pair in value.split(","))
    return Originate(
        action_id=request.get("ActionID"),
        channel=channel,
        channel_id=request.get("ChannelId"),
        context=request.get("Context"),
        exten=request.get("Exten"),
        timeout=int(timeout) / 1000,
        call_id=variables.get("RINGBACK_CALL_ID", ""),
        amd=variables.get("RINGBACK_AMD", ""),
    )

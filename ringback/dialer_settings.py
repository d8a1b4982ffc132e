"""Settings of the dialer: the campaign, its trunks, and the links to Asterisk."""

import ssl
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, SecretStr

from ringback.errors import SettingsError
from ringback.section import Port, PositiveSeconds, Seconds, Section

Name = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,20}$")]


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("must be host:port, such as 10.0.0.5:5038")
    return text


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be the IANA name of a time zone, such as Europe/Berlin")
    return name


Address = Annotated[str, AfterValidator(_address)]
Dialled = Annotated[
    str, Field(pattern=r"\{number\}", description="Asterisk channel to originate; {number} is E.164 without plus")
]
# How long a phone must ring before a call is given up: 16 CFR 310.4(b)(4)(ii), 15 seconds or four rings.
RING_SECONDS = 15.0


class AmiSettings(Section):
    """Asterisk's manager interface, on one server or on several that share user and secret."""

    host: str = "127.0.0.1"
    port: Port = 5038
    servers: dict[Name, Address] = Field({}, description="several, instead of host and port: name = host:port")
    user: str = "ringback"
    secret: SecretStr = SecretStr("")
    tls: bool = Field(False, description="speak TLS (tlsenable in manager.conf, port 5039 as a rule)")
    ca: Path | None = Field(None, description="certificates to trust, PEM; unset: those of this machine")
    action_timeout: PositiveSeconds = Field(5.0, description="seconds until an action without an answer is given up")
    ping_interval: PositiveSeconds = Field(5.0, description="seconds between pings; a missed one closes the link")
    reconnect_max: PositiveSeconds = Field(10.0, description="longest pause between attempts to connect")

    def context(self) -> ssl.SSLContext | None:
        """What to check of a server's certificate; None without TLS. Raises `SettingsError` for an unusable ``ca``."""
        if not self.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise SettingsError(f"ami.ca: {self.ca} holds no certificates in PEM form: {error}") from error

    def each(self) -> dict[str, Self]:
        """The settings of each server, by its name; the only one is called ``asterisk``."""
        if not self.servers:
            return {"asterisk": self}
        places = {name: address.rpartition(":") for name, address in self.servers.items()}
        return {
            name: self.model_copy(update={"host": host.strip("[]"), "port": int(port), "servers": {}})
            for name, (host, _, port) in places.items()
        }


class TrunkSettings(Section):
    """A way out of one Asterisk server."""

    server: str = Field("asterisk", description="a name in ami.servers")
    channel: Dialled = "PJSIP/{number}@trunk"
    lines: int = Field(20, ge=1, description="calls at once, at most")
    calls_per_second: float = Field(5.0, gt=0, description="originates a second, at most")


class Mode(StrEnum):
    """Who or what decides that a call is made."""

    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    PREDICTIVE = "predictive"


class Amd(StrEnum):
    """What is done about answering machines."""

    OFF = "off"
    ON = "on"
    AGENT_HEARS = "agent_hears"


class DialerSettings(Section):
    """The campaign and how it is dialled."""

    campaign: str = Field("main", pattern=r"^[a-z0-9-]{1,40}$")
    mode: Mode = Field(
        Mode.PREDICTIVE,
        description="preview: an agent looks at each lead first; progressive: a line for each idle agent; "
        "predictive: more lines than idle agents, within the limit of abandoned calls",
    )
    abandonment_rules: tuple[Literal["us", "gb", "ca", "strict"], ...] = Field(
        ("us", "gb", "ca"), description="limits of abandoned calls that no call may break: see dialer/abandonment.py"
    )
    abandoned_limit: float = Field(
        0.025, ge=0.0, le=0.05, description="share of live answers abandoned that predictive dialling aims at"
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="where the days and months of these limits begin, IANA"
    )
    preview: PositiveSeconds = Field(30.0, description="seconds that an agent may look at a lead in preview mode")
    trunks: dict[Name, TrunkSettings] = Field(
        {}, description="several trunks; none: the channel, lines and calls_per_second below, on each server"
    )
    channel: Dialled = "PJSIP/{number}@trunk"
    caller_id: str = Field("", description="the number shown to shoppers; must be one that can be called back")
    lines: int = Field(20, ge=1, description="calls at once, at most")
    calls_per_second: float = Field(5.0, gt=0, description="originates a second, at most")
    # SIP itself gives up an INVITE that nobody answers after 32 s, with 408: if we waited longer, a dead trunk would
    # look like a phone that rings.
    ring_timeout: float = Field(
        25.0, ge=RING_SECONDS, le=30.0, description="seconds a phone rings; at least 15, as the TSR asks"
    )
    amd: Amd = Field(
        Amd.OFF,
        description="off: every answer goes to an agent at once; on: what sounds like an answering machine is hung up, "
        "though some are people; agent_hears: the agent gets those too, after up to 3 s of listening",
    )
    amd_mistaken: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="share of the calls that amd = on hangs up which are people: each counts as abandoned",
    )
    wrap_up: Seconds = Field(15.0, description="seconds of wrap-up after a call")
    lease: PositiveSeconds = Field(
        3.0, description="seconds until a silent dialer loses its campaign; a standby dials within 5 with 3"
    )
    drain: Seconds = Field(60.0, description="seconds that calls may go on after the dialer was told to stop")

    def trunks_of(self, server: str) -> dict[str, TrunkSettings]:
        """The trunks of one server, by name."""
        if self.trunks:
            return {name: trunk for name, trunk in self.trunks.items() if trunk.server == server}
        only = TrunkSettings(
            server=server, channel=self.channel, lines=self.lines, calls_per_second=self.calls_per_second
        )
        return {server: only}

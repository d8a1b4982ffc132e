"""Settings of the dialer: the campaign, and the link to Asterisk."""

from pydantic import Field, SecretStr

from ringback.section import Port, PositiveSeconds, Seconds, Section


class AmiSettings(Section):
    """Asterisk's manager interface."""

    host: str = "127.0.0.1"
    port: Port = 5038
    user: str = "ringback"
    secret: SecretStr = SecretStr("")
    action_timeout: PositiveSeconds = Field(5.0, description="seconds until an action without an answer is given up")
    ping_interval: PositiveSeconds = Field(5.0, description="seconds between pings; a missed one closes the link")
    reconnect_max: PositiveSeconds = Field(10.0, description="longest pause between attempts to connect")


class DialerSettings(Section):
    """The campaign and how it is dialled."""

    campaign: str = Field("main", pattern=r"^[a-z0-9-]{1,40}$")
    channel: str = Field(
        "PJSIP/{number}@trunk", description="Asterisk channel to originate; {number} is E.164 without plus"
    )
    caller_id: str = Field("", description="the number shown to shoppers; must be one that can be called back")
    lines: int = Field(20, ge=1, description="calls at once, at most")
    calls_per_second: float = Field(5.0, gt=0, description="originates a second, at most")
    ring_timeout: float = Field(
        25.0, ge=15.0, le=60.0, description="seconds a phone rings; at least 15, as the TSR asks"
    )
    wrap_up: Seconds = Field(15.0, description="seconds of wrap-up after a call")
    lease: PositiveSeconds = Field(10.0, description="seconds until a silent dialer loses its campaign to another one")
    drain: Seconds = Field(60.0, description="seconds that calls may go on after the dialer was told to stop")

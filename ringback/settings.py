"""Settings: one typed model, read from ``ringback.toml``, then the environment, then flags (the last one wins).

Environment variables are ``RINGBACK_`` plus the key, two underscores between levels: ``RINGBACK_KAFKA__BOOTSTRAP``.
"""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ringback.clock import Clock
from ringback.compliance_settings import ComplianceSettings
from ringback.decide_settings import DecideSettings
from ringback.dialer_settings import AmiSettings, DialerSettings
from ringback.errors import SettingsError
from ringback.lead_settings import LeadSettings
from ringback.ledger_settings import LedgerSettings
from ringback.scoring_settings import ScoringSettings
from ringback.section import Port, PositiveSeconds, Seconds, Section

CONFIG_FILE_VARIABLE = "RINGBACK_CONFIG"
DEFAULT_CONFIG_FILE = "ringback.toml"


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class KafkaSettings(Section):
    """The log."""

    bootstrap: str = Field("127.0.0.1:9092", description="host:port, several separated by commas")
    partitions: int = Field(6, ge=1, le=1024, description="of every topic keyed by shopper; fixed once topics exist")
    replication: int = Field(1, ge=1, description="replicas of each topic")
    request_timeout: PositiveSeconds = Field(30.0, description="seconds until a send is given up")
    session_timeout: float = Field(
        10.0, ge=1.0, description="seconds until a stream worker that is not heard of loses its partitions"
    )


class RedisSettings(Section):
    """The shared state."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="redis:// or rediss:// URL")
    timeout: PositiveSeconds = Field(2.0, description="seconds until a command is given up")


class AdminSettings(Section):
    """The listener for /metrics, /livez and /readyz: one a process."""

    host: str = "127.0.0.1"
    port: Port = Field(
        0, description="0 takes the process's usual port: ingest 9101, stream 9102, dialer 9103, outreach 9104"
    )


SHOP = r"(native|shopify|segment|woocommerce|cloudevents|ga4|snowplow):[a-z0-9][a-z0-9-]{0,39}"


class ShopSettings(Section):
    """One platform of one shop, and what its events leave unsaid."""

    secrets: tuple[SecretStr, ...] = Field((), description="any of these signs a request; none: the endpoint is off")
    secret_file: Path | None = Field(None, description="more secrets, one a line")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="of events that name none, ISO 4217")
    country: str | None = Field(None, pattern="^[A-Z]{2}$", description="of phone numbers without one, ISO 3166")
    consent: dict[Literal["voice", "sms", "chat"], str] = Field(
        {}, description="where an event says what its shopper agreed to: a path such as note_attributes.call_me"
    )
    replay_window: Seconds = Field(
        300.0, description="a signed timestamp further from the clock is refused; 0: any; for sources that sign one"
    )


class IngestSettings(Section):
    """The HTTP listener that shops send to."""

    host: str = "127.0.0.1"
    port: Port = 8080
    secret: SecretStr = Field(
        SecretStr(""), description="key of the HMAC-SHA256 that signs each request to /v1/events; empty: endpoint off"
    )
    shops: dict[Annotated[str, Field(pattern=f"^{SHOP}$")], ShopSettings] = Field(
        {}, description="by platform:name, such as shopify:example; events are taken at /v1/shopify/example"
    )
    max_body_bytes: int = Field(1024 * 1024, ge=1024, description="a larger request, after gzip, is refused")
    max_depth: int = Field(40, ge=4, le=500, description="JSON nested deeper is a dead letter")
    max_event_bytes: int = Field(256 * 1024, ge=1024, description="a larger event is a dead letter")
    linger: Seconds = Field(0.003, description="seconds that events wait for others to be published with")
    client_timeout: PositiveSeconds = Field(10.0, description="seconds until a request that does not end is given up")
    spool_dir: Path = Field(Path(".ringback/spool"), description="where requests wait while Kafka or Redis is away")
    spool_bytes: int = Field(1024**3, ge=0, description="a fuller spool takes nothing: 503")
    duplicate_window: PositiveSeconds = Field(7 * 86400.0, description="seconds in which an event's id is remembered")
    identity_window: PositiveSeconds = Field(
        90 * 86400.0, description="seconds without an event until a shopper's names are forgotten"
    )
    max_age: PositiveSeconds = Field(7 * 86400.0, description="an older event is a dead letter, unless it is a replay")
    max_ahead: PositiveSeconds = Field(300.0, description="an event further in the future is a dead letter")


class StreamSettings(Section):
    """How carts are followed."""

    app_id: str = Field("ringback-stream", description="the Kafka consumer group of all stream workers")
    abandon_after: PositiveSeconds = Field(1800.0, description="seconds without activity until a cart is due")
    lateness: Seconds = Field(
        30.0, description="how far events may be out of order: the watermark stays behind by this"
    )
    idle_after: PositiveSeconds = Field(
        5.0, description="wall seconds without events until the clock moves the watermark"
    )
    forget_after: PositiveSeconds = Field(
        30 * 86400.0, description="seconds without activity until a shopper's state is dropped"
    )
    store: Literal["memory", "rocksdb"] = Field("memory", description="where states are kept: see docs/scale.md")
    standby: int = Field(0, ge=0, le=3, description="other workers that keep a copy of each partition's states")
    cached_states: int = Field(20_000, ge=100, description="decoded states kept in memory")
    write_every: Seconds = Field(
        0.5, le=10.0, description="seconds between writes of states: what changes often is written once"
    )
    in_flight: int = Field(
        8 * 1024 * 1024, ge=1024, description="bytes of records that may be taken before they are durable"
    )
    data_dir: Path = Field(Path(".ringback/stream"), description="scratch folder of the worker")


class OutreachSettings(Section):
    """How SMS and chat messages are sent."""

    url: str | None = Field(None, description="http:// or https:// address that the provider takes messages at")
    token: SecretStr = Field(SecretStr(""), description="bearer token that the provider asks for; empty: none is sent")
    shop_name: str = Field("", max_length=40, description="who the messages say they are from")
    max_per_day: int = Field(1, ge=1, description="messages to one number in 24 hours")
    timeout: PositiveSeconds = Field(5.0, description="seconds until a send without an answer is given up")

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("expected http://host:port/path or https://…, without user name: the secret is the token")
        return url


class PrivacySettings(Section):
    """Secrets that hide people."""

    phone_key: SecretStr = Field(SecretStr("change-me"), description="key of the hash that stands for a phone number")


class SimulationSettings(Section):
    """A world that is not real. Nothing that is switched on here can reach a carrier."""

    enabled: bool = False
    origin: float | None = Field(None, description="business time at wall_origin, epoch seconds; none: wall time")
    wall_origin: float | None = Field(None, description="wall time at which business time is origin")
    speed: float = Field(1.0, gt=0, le=3600, description="business seconds in a wall second")
    any_hour: bool = Field(False, description="people may be called at any hour and day that compliance.hours names")

    def clock(self) -> Clock:
        """The business clock of these settings."""
        if not self.enabled:
            return Clock()
        wall_origin = self.wall_origin or 0.0
        return Clock(self.origin if self.origin is not None else wall_origin, wall_origin, self.speed)


class Settings(BaseSettings):
    """Everything that can be set."""

    # Not nested_model_default_partial_update: it would add the default countries and currencies to those that are set.
    model_config = SettingsConfigDict(env_prefix="RINGBACK_", env_nested_delimiter="__", extra="forbid", frozen=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    ami: AmiSettings = AmiSettings()
    admin: AdminSettings = AdminSettings()
    ingest: IngestSettings = IngestSettings()
    stream: StreamSettings = StreamSettings()
    scoring: ScoringSettings = ScoringSettings()
    decide: DecideSettings = DecideSettings()
    compliance: ComplianceSettings = ComplianceSettings()
    dialer: DialerSettings = DialerSettings()
    leads: LeadSettings = LeadSettings()
    ledger: LedgerSettings = LedgerSettings()
    outreach: OutreachSettings = OutreachSettings()
    privacy: PrivacySettings = PrivacySettings()
    simulation: SimulationSettings = SimulationSettings()

    @model_validator(mode="after")
    def _shoppers_are_remembered_for_long_enough(self) -> "Settings":
        needed = {
            "ingest.max_age": self.ingest.max_age,
            "decide.attribution_window": self.decide.attribution_window,
            "decide.contact_gap": self.decide.contact_gap,
            "decide.max_age": self.decide.max_age,
            "stream.abandon_after + stream.lateness": self.stream.abandon_after + self.stream.lateness,
        }
        longest = max(needed, key=lambda name: needed[name])
        if self.stream.forget_after < needed[longest]:
            raise ValueError(
                f"stream.forget_after = {self.stream.forget_after:g} is shorter than {longest} = {needed[longest]:g}: "
                "a shopper would be forgotten who is still needed"
            )
        return self

    @model_validator(mode="after")
    def _every_server_has_its_trunk(self) -> "Settings":
        servers = self.ami.each()
        for name, trunk in self.dialer.trunks.items():
            if trunk.server not in servers:
                raise ValueError(f"dialer.trunks.{name}.server = {trunk.server!r} is none of {sorted(servers)}")
        for server in servers:
            if not self.dialer.trunks_of(server):
                raise ValueError(f"none of dialer.trunks is of the server {server!r}: its agents would get no calls")
        return self

    @model_validator(mode="after")
    def _simulation_stays_inside(self) -> "Settings":
        clock = self.simulation
        if not clock.enabled and (clock.speed != 1.0 or clock.origin is not None):
            raise ValueError(
                "simulation.speed and simulation.origin need simulation.enabled = true: real calls need the real clock"
            )
        if not clock.enabled and clock.any_hour:
            raise ValueError(
                "simulation.any_hour needs simulation.enabled = true: real people are called at lawful hours"
            )
        for server in self.ami.each().values() if clock.enabled else ():
            if not is_loopback(server.host):
                raise ValueError(f"simulation.enabled = true allows only a loopback ami.host, not {server.host!r}")
        channels = [self.dialer.channel, *(trunk.channel for trunk in self.dialer.trunks.values())]
        for channel in channels if clock.enabled else ():
            if not channel.startswith("Local/"):
                raise ValueError(
                    f"simulation.enabled = true allows only a dialer.channel that starts with Local/, not {channel!r}"
                )
        provider = urlsplit(self.outreach.url or "").hostname
        if clock.enabled and provider is not None and not is_loopback(provider):
            raise ValueError(f"simulation.enabled = true allows only a loopback outreach.url, not host {provider!r}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        file = Path(os.environ.get(CONFIG_FILE_VARIABLE, DEFAULT_CONFIG_FILE))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)


def load(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the effective settings. ``flags`` has dotted keys (``{"kafka.bootstrap": "…"}``); None values are left out.

    Raises `SettingsError`, one line a wrong key: the key, what was expected, what came.
    """
    nested: dict[str, Any] = {}
    for key, value in (flags or {}).items():
        if value is None:
            continue
        *parents, last = key.split(".")
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
            if not isinstance(level, dict):
                raise SettingsError(f"{key}: {parent} was given as a whole too, as {level!r}; give one or the other")
        level[last] = value
    file = os.environ.get(CONFIG_FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}={file}: no such file")
    try:
        return Settings(**nested)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise SettingsError("\n".join(lines)) from None
    except ValueError as error:  # TOML that is no TOML, an environment value that is no JSON
        raise SettingsError(f"settings can't be read: {error}") from None


def _explain(problem: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "settings"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{key}: no such setting; `ringback config` lists them all"
    if problem["type"] == "value_error" and not problem["loc"]:
        return message
    came = "***" if any(word in key for word in ("secret", "salt", "key", "url", "token")) else repr(problem["input"])
    return f"{key}: {message[0].lower()}{message[1:]}; came {came}"

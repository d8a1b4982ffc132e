"""What a source of events is: how its requests are recognised as authentic, and how they are parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ringback.errors import BadEvent
from ringback.records import CartEvent
from ringback.settings import IngestSettings


class Refused(NamedTuple):
    """An event that could not be used; it becomes a dead letter.

    ``stop`` is what must be kept of it all the same: that its shopper bought or opted out.
    """

    error: BadEvent
    raw: bytes
    stop: CartEvent | None = None


Parsed = list[CartEvent | Refused]


@dataclass(frozen=True, slots=True)
class Shop:
    """One platform of one shop. ``consent`` has a path into an event's JSON for each channel that it tells about.

    Two platforms of the same ``name`` (its shop system and its tracking) know the same shoppers.
    """

    platform: str
    name: str
    currency: str | None = None
    country: str | None = None
    consent: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What its events and dead letters say they are from."""
        return f"{self.platform}/{self.name}"


class Parse(Protocol):
    """From an authentic request to canonical events. Pure; ``headers`` have lower-case names, ``now`` is business time.

    Every event has a ``source`` of ``shop.source``, an ``event_id`` made of what the platform repeats when it delivers
    the same thing again, and ``refs`` instead of a ``shopper_id``. Raises `BadEvent` where the whole request can't be
    used; a request that tells nothing of interest gives an empty list.
    """

    def __call__(
        self, headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings
    ) -> Parsed:
        """Parse one request."""
        ...


class Authentic(Protocol):
    """Whether a request was signed with one of the secrets; compares in constant time. ``now`` is wall time."""

    def __call__(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float
    ) -> bool:
        """Check one request; ``body`` is as it came, before gzip is taken off."""
        ...


def no_ping(headers: Mapping[str, str], body: bytes) -> bool:
    """No request is a ping."""
    return False


class Ping(Protocol):
    """Whether a request only asks if somebody is there; it is answered 200, unsigned as it is, and nothing is done."""

    def __call__(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Look at one request."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """One platform; ``name`` is its part of ``shopify:example`` and of the path /v1/shopify/example."""

    name: str
    authentic: Authentic
    parse: Parse
    is_ping: Ping = no_ping

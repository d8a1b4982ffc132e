"""The records that pass between rooms: frozen structs, JSON on the wire.

Money is an integer of minor units with an ISO 4217 code beside it. ``time`` is always business time (see
`ringback.clock`) in epoch seconds UTC; fields that end in ``_wall`` are wall-clock seconds and serve latencies only.
"""

from enum import StrEnum
from typing import Literal, TypeVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all records."""


class Topic(StrEnum):
    """Kafka topics; all but the dead letters are keyed by shopper id and have the same number of partitions."""

    CART_EVENTS = "ringback.cart-events"
    DECISIONS = "ringback.decisions"
    OUTBOX = "ringback.outbox"
    CONTACTS = "ringback.contacts"
    CONVERSIONS = "ringback.conversions"
    CALLS = "ringback.calls"
    DEAD_LETTERS = "ringback.dead-letters"


class Channel(StrEnum):
    """A way to reach a shopper."""

    VOICE = "voice"
    SMS = "sms"
    CHAT = "chat"


class Consent(Record, frozen=True, kw_only=True):
    """What a shopper agreed to, per channel: yes (True), no (False), or unknown (None), which is not yes.

    ``evidence`` says where the answer was given (``shopify checkout buyer_accepts_sms_marketing``) and ``captured``
    when, epoch seconds; a newer answer replaces an older one.
    """

    voice: bool | None = None
    sms: bool | None = None
    chat: bool | None = None
    evidence: str | None = None
    captured: float | None = None

    def to(self, channel: Channel) -> bool:
        """Whether the shopper said yes to a channel."""
        return bool(getattr(self, channel.value))


class Shopper(Record, frozen=True, kw_only=True):
    """Who may be called. ``phone`` is E.164 with a plus, ``country`` ISO 3166 alpha-2, ``timezone`` an IANA name.

    ``region`` is the state or province of the address, ISO 3166-2 (``US-FL``) and of that country. ``ip_timezone`` is
    the zone (IANA) where the shopper's network is. All that is known of where somebody is decides when a call is
    lawful.
    """

    name: str | None = None
    phone: str | None = None
    country: str | None = None
    timezone: str | None = None
    consent: Consent | None = None
    region: str | None = None
    ip_timezone: str | None = None


class Item(Record, frozen=True, kw_only=True):
    """A line of a cart. ``unit_price`` is in minor units of the event's currency."""

    product_id: str
    quantity: int = 1
    unit_price: int = 0
    category: str | None = None
    brand: str | None = None
    title: str | None = None


class Refs(Record, frozen=True, kw_only=True):
    """By what names a shop's platform knows a shopper in one event; `ingest.identity` finds who it is.

    All are the platform's own, within one shop. ``email`` and ``phone`` (E.164) are never written anywhere as they are.
    """

    customer: str | None = None
    email: str | None = None
    phone: str | None = None
    anonymous: str | None = None
    cart: str | None = None
    checkout: str | None = None
    order: str | None = None
    session: str | None = None


class EventKind(StrEnum):
    """What a shopper did, or what became known of one."""

    PRODUCT_VIEWED = "product_viewed"
    ITEM_ADDED = "item_added"
    ITEM_REMOVED = "item_removed"
    CART_SNAPSHOT = "cart_snapshot"
    CHECKOUT_STARTED = "checkout_started"
    CHECKOUT_STEP = "checkout_step"
    COUPON_REFUSED = "coupon_refused"
    PAYMENT_FAILED = "payment_failed"
    ORDER_COMPLETED = "order_completed"
    IDENTIFIED = "identified"
    OPTED_OUT = "opted_out"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REFUNDED = "order_refunded"
    CONSENT_CHANGED = "consent_changed"
    ERASED = "erased"
    DATA_REQUESTED = "data_requested"
    RATED = "rated"
    OTHER = "other"
    # Ringback's own, when two shoppers turn out to be one; see `stream.merge`.
    ABSORBED = "absorbed"
    MOVED = "moved"
    HANDED_OVER = "handed_over"


INTERNAL_KINDS = frozenset({EventKind.ABSORBED, EventKind.MOVED, EventKind.HANDED_OVER})


class CartEvent(Record, frozen=True, kw_only=True):
    """One thing a shopper did, whatever platform told us.

    ``event_id`` is unique within ``source`` and is what duplicates are recognised by. ``items`` are the products that
    the event is about: those added, removed or viewed, the whole cart for a snapshot, the lines of an order. ``step``
    is how far the checkout is, from 1. ``rating`` is what a shopper said of an order, from 1, the worst, to 5.
    ``value`` is an order's total in minor units, of a refund what was paid back. ``time`` is also the version of what
    the event tells: of two snapshots of a cart the one with the later time holds. ``traffic`` is where the visit came
    from, in the platform's own words. ``replay`` marks an event of an old log that is played again: it is never too
    old, and nobody is called because of it outside a simulation.

    ``refs`` is there only until the shopper is known; on Kafka ``shopper_id`` is set instead. ``other`` is the other
    shopper of the internal kinds, and ``carried`` what one hands over to the other.
    """

    event_id: str
    source: str
    shopper_id: str = ""
    kind: EventKind
    time: float
    cart_id: str | None = None
    session_id: str | None = None
    order_id: str | None = None
    items: tuple[Item, ...] = ()
    currency: str | None = None
    value: int | None = None
    step: int | None = None
    rating: int | None = None
    traffic: str | None = None
    shopper: Shopper | None = None
    replay: bool = False
    received_wall: float = 0.0
    refs: Refs | None = None
    other: str | None = None
    carried: bytes | None = None


class ContactKind(StrEnum):
    """What happened on the way to a shopper."""

    QUEUED = "queued"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ATTEMPTED = "attempted"
    ANSWERED = "answered"
    CONNECTED = "connected"
    ENDED = "ended"
    DISPOSITION = "disposition"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    OPTED_OUT = "opted_out"


class Outcome(StrEnum):
    """How a call ended."""

    CONNECTED = "connected"
    ABANDONED = "abandoned"
    HUNG_UP = "hung_up"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    INVALID = "invalid"
    CONGESTION = "congestion"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Disposition(StrEnum):
    """What an agent reports after a call."""

    SALE = "sale"
    INTERESTED = "interested"
    NOT_INTERESTED = "not_interested"
    CALLBACK = "callback"
    WRONG_NUMBER = "wrong_number"
    DO_NOT_CALL = "do_not_call"


class ContactEvent(Record, frozen=True, kw_only=True):
    """One step of one contact. ``contact_id`` is the call's ChannelId, or the message's id.

    ``outcome`` is set on ENDED; ``talk_seconds`` and ``wait_seconds`` (answered until connected) where they are known;
    ``detail`` says why for REFUSED, WITHDRAWN and FAILED.
    """

    contact_id: str
    lead_id: str
    shopper_id: str
    cart_id: str
    channel: Channel
    kind: ContactKind
    time: float
    campaign: str = ""
    agent: str | None = None
    outcome: Outcome | None = None
    disposition: Disposition | None = None
    wait_seconds: float | None = None
    talk_seconds: float | None = None
    detail: str | None = None
    wall: float = 0.0


class Conversion(Record, frozen=True, kw_only=True):
    """An order joined to the contact that won it, or to the holdout. ``arm`` tells treated from holdout.

    ``channel`` and ``contact_id`` are of the last successful contact within ``window`` seconds before the order; both
    are None where none was made: the holdout's orders, and those of treated shoppers who were never reached.
    """

    order_id: str
    shopper_id: str
    cart_id: str
    decision_id: str
    arm: Literal["treated", "holdout"]
    channel: Channel | None
    contact_id: str | None
    value: int
    currency: str
    ordered: float
    decided: float
    window: float


class DeadLetterReason(StrEnum):
    """Why an event could not be used."""

    MALFORMED = "malformed"
    WRONG_TYPE = "wrong_type"
    NEGATIVE_PRICE = "negative_price"
    UNKNOWN_CURRENCY = "unknown_currency"
    MIXED_CURRENCIES = "mixed_currencies"
    FROM_THE_FUTURE = "from_the_future"
    TOO_OLD = "too_old"
    TOO_LARGE = "too_large"
    WRONG_KEY = "wrong_key"
    CART_ALREADY_BOUGHT = "cart_already_bought"
    BROKEN_LINE = "broken_line"
    TOO_DEEP = "too_deep"
    UNKNOWN_TOPIC = "unknown_topic"
    NO_SHOPPER = "no_shopper"
    UNEXPECTED = "unexpected"


class DeadLetter(Record, frozen=True, kw_only=True):
    """What could not be used, where and why. ``payload`` is cut at 4 KiB."""

    source: str
    stage: Literal["replay", "ingest", "stream"]
    reason: str
    detail: str
    payload: bytes
    time: float
    line: int | None = None
    partition: int | None = None
    offset: int | None = None


DEAD_LETTER_PAYLOAD_BYTES = 4096

R = TypeVar("R", bound=msgspec.Struct)

_encoder = msgspec.json.Encoder()


def encode(record: msgspec.Struct | msgspec.Raw) -> bytes:
    """The wire form of a record."""
    return _encoder.encode(record)


def decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    """A reusable decoder; it raises `msgspec.DecodeError` (malformed) or `msgspec.ValidationError` (wrong type)."""
    return msgspec.json.Decoder(kind)

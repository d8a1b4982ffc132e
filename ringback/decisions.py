"""What the stream decides, and what follows from it: decisions, leads for the hopper, messages for the outbox."""

from enum import StrEnum
from typing import Literal

from ringback.records import Channel, Item, Record


class Route(StrEnum):
    """Where a due cart goes."""

    VOICE = "voice"
    SMS = "sms"
    CHAT = "chat"
    NONE = "none"
    HOLDOUT = "holdout"


class Reason(StrEnum):
    """Why a due cart got its route: the first rule that decided."""

    HIGH_VALUE = "high_value"
    MID_VALUE = "mid_value"
    LOW_VALUE = "low_value"
    HOLDOUT = "holdout"
    NO_CONSENT = "no_consent"
    NO_PHONE = "no_phone"
    OPTED_OUT = "opted_out"
    OUTSIDE_HOURS = "outside_hours"
    UNKNOWN_REGION = "unknown_region"
    NUMBER_NOT_ALLOWED = "number_not_allowed"
    NO_THRESHOLD = "no_threshold"
    RECENTLY_CONTACTED = "recently_contacted"
    STALE = "stale"


class Worth(Record, frozen=True, kw_only=True):
    """What contacting a shopper about a cart by one channel is expected to bring, and what it would have to bring.

    Amounts are minor units of the cart's currency, times in seconds. ``value`` = ``lift`` x ``margin`` x ``answer`` -
    ``cost``. ``lift`` is what the contact adds to the probability of an order when the shopper is reached, by the
    uplift model or by the stated prior; ``answer`` the probability of being reached at ``at`` (business time). A call
    has its expected ``handling`` and is judged by ``per_minute`` of it, a message by ``value``: against ``threshold``,
    which was set or is the shadow price of the agents' time.
    """

    channel: Channel
    at: float
    lift: float
    lift_source: Literal["uplift", "prior"]
    margin: int
    answer: float
    cost: int
    value: int
    handling: float = 0.0
    per_minute: int | None = None
    threshold: int
    threshold_source: Literal["fixed", "shadow_price"] = "fixed"


class Decision(Record, frozen=True, kw_only=True):
    """What one due cart is worth and where it goes; published once for each abandonment of a cart.

    ``decision_id`` is derived from the cart and the number of its abandonment, so that the same decision taken again
    has the same id. ``time`` is when the cart became due. ``score`` is the calibrated probability that the shopper
    buys; ``expected_value`` = ``score`` x ``value``, minor units. ``features`` are in the order of the
    model's manifest, None where missing; ``feature_hash`` says by which definition. ``shadow_score`` is what the
    shadow model made of the same features, where there is one. ``worth`` has a channel after the other that the
    shopper agreed to, the call first; it is empty where another rule decided.
    """

    decision_id: str
    shopper_id: str
    cart_id: str
    time: float
    last_activity: float
    value: int
    currency: str
    items: tuple[Item, ...]
    features: tuple[float | None, ...]
    score: float
    expected_value: int
    route: Route
    reason: Reason
    arm: Literal["treated", "holdout", "ineligible"]
    model_version: str
    replay: bool = False
    due_wall: float = 0.0
    decided_wall: float = 0.0
    feature_hash: str = ""
    shadow_version: str | None = None
    shadow_score: float | None = None
    worth: tuple[Worth, ...] = ()


class Lead(Record, frozen=True, kw_only=True):
    """A shopper to be called about one cart: what waits in the hopper and pops up on the agent's screen.

    The call may start at ``callable_from`` <= business time < ``callable_until``. ``priority`` is the expected
    incremental margin of an agent-hour, in hundredths of the unit that `decide.exchange` compares currencies in;
    ``retry_priorities`` are those of the second attempt and the following ones. ``phone`` is E.164; ``phone_ref`` its
    keyed hash, used wherever a number must not appear. ``reasons`` are sentences on why this cart; ``talking_points``
    answer the likely objections. ``caps`` are (seconds, calls) pairs: at most so many calls to one person and to one
    number within so many seconds, by the rules that hold for the shopper (`dialer.compliance`). ``agent`` is set
    when it is a callback that this agent promised; ``consent_evidence`` and ``consent_captured`` are of `Consent`.
    """

    lead_id: str
    shopper_id: str
    cart_id: str
    phone: str
    phone_ref: str
    name: str | None
    country: str
    value: int
    currency: str
    items: tuple[Item, ...]
    score: float
    priority: int
    last_activity: float
    callable_from: float
    callable_until: float
    replay: bool = False
    decided_wall: float = 0.0
    reasons: tuple[str, ...] = ()
    talking_points: tuple[str, ...] = ()
    retry_priorities: tuple[int, ...] = ()
    agent: str | None = None
    consent_evidence: str | None = None
    consent_captured: float | None = None
    caps: tuple[tuple[float, int], ...] = ()
    jurisdictions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


class Message(Record, frozen=True, kw_only=True):
    """An SMS or chat message to be sent: one a decision."""

    message_id: str
    shopper_id: str
    cart_id: str
    channel: Channel
    phone: str
    phone_ref: str
    name: str | None
    country: str
    value: int
    currency: str
    items: tuple[Item, ...]
    last_activity: float
    send_from: float
    send_until: float
    time: float
    replay: bool = False

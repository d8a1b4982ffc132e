"""The values that labels of metrics can have, where Ringback itself knows them all."""

from enum import StrEnum

from ringback.decisions import Reason, Route


class NeverEvent(StrEnum):
    """What must never happen; each is a counter that stays 0. See docs/architecture.md."""

    FORBIDDEN_CONTACT = "forbidden_contact"
    SECOND_CALL_AT_ONCE = "second_call_at_once"
    CART_LOST = "cart_lost"
    ABANDONED_OVER_LIMIT = "abandoned_over_limit"
    PERSONAL_DATA_LEAKED = "personal_data_leaked"


class IngestOutcome(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    DEAD_LETTER = "dead_letter"
    SPOOLED = "spooled"
    PING = "ping"
    UNAUTHENTIC = "unauthentic"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


class IngestedAs(StrEnum):
    """What became of an event."""

    PUBLISHED = "published"
    REPEATED = "repeated"
    REFUSED = "refused"


class ModelRole(StrEnum):
    """What a model does in a worker."""

    CURRENT = "current"
    SHADOW = "shadow"
    CANARY = "canary"
    UPLIFT = "uplift"


class ScoreOf(StrEnum):
    """Whose score of a due cart: that which decided, or the shadow model's."""

    DECIDING = "deciding"
    SHADOW = "shadow"


class Arm(StrEnum):
    """Who may be contacted about a cart, and who is left in peace to measure the lift."""

    TREATED = "treated"
    HOLDOUT = "holdout"


class OptOutThrough(StrEnum):
    """Where a shopper said not to be contacted any more."""

    SHOP = "shop"
    VOICE = "voice"
    SMS = "sms"
    CHAT = "chat"


class WonBy(StrEnum):
    """What won an order that is rated: a contact by a channel, or none."""

    VOICE = "voice"
    SMS = "sms"
    CHAT = "chat"
    NONE = "none"


class Rating(StrEnum):
    """What a shopper said of an order: 1 is the worst, 4 and 5 are content."""

    ONE = "1"
    TWO = "2"
    THREE = "3"
    FOUR = "4"
    FIVE = "5"


class AgentState(StrEnum):
    """What an agent is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


class CallState(StrEnum):
    """Where a call is, from the originate on."""

    ORIGINATING = "originating"
    ANSWERED = "answered"
    CONNECTED = "connected"


class AbandonmentWindow(StrEnum):
    """Over what the share of abandoned calls is taken."""

    TODAY = "today"
    THIRTY_DAYS = "30_days"


class HopperBand(StrEnum):
    """What a lead's call is worth now, or that it may not be made yet."""

    HIGH = "high"
    MIDDLE = "middle"
    LOW = "low"
    LATER = "later"


class Reconciled(StrEnum):
    """What became of a call whose state was not known."""

    ADOPTED = "adopted"
    UNKNOWN = "unknown"


class MessageOutcome(StrEnum):
    """What became of a message: `ringback.records.ContactKind` of the event that reports it."""

    SENT = "sent"
    REFUSED = "refused"
    FAILED = "failed"


class MessageChannel(StrEnum):
    """A channel that is written to."""

    SMS = "sms"
    CHAT = "chat"


class Server(StrEnum):
    """What outreach needs."""

    KAFKA = "kafka"
    REDIS = "redis"
    PROVIDER = "provider"


class RecordTopic(StrEnum):
    """What the stream reads."""

    CART_EVENTS = "cart_events"
    CONTACTS = "contacts"


# Route, reason and arm of what any worker decides sooner or later.
USUAL_DECISIONS = (
    (Route.VOICE, Reason.HIGH_VALUE, Arm.TREATED),
    (Route.SMS, Reason.MID_VALUE, Arm.TREATED),
    (Route.CHAT, Reason.MID_VALUE, Arm.TREATED),
    (Route.NONE, Reason.LOW_VALUE, "ineligible"),
    (Route.HOLDOUT, Reason.HOLDOUT, Arm.HOLDOUT),
)

"""What the hopper answers: what became of an offer, a reservation, a call."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ringback.decisions import Lead


class Offer(StrEnum):
    """What became of an offered lead.

    ``repeated``: this lead_id was offered before, whatever became of it. ``already_queued``: another lead of the
    shopper waits or is being called, and is the better one. Of two leads of one shopper the one with the later last
    activity stays, then the one with the higher priority; a lead that is being called always stays, and a callback that
    was promised. ``cap``, ``lockout``: the number can't be called again before the lead expires. ``calling``: of a
    callback, it is queued when the call that lives is settled.
    """

    QUEUED = "queued"
    CALLING = "calling"
    REPEATED = "repeated"
    BOUGHT = "bought"
    OPTED_OUT = "opted_out"
    DO_NOT_CALL = "do_not_call"
    EXPIRED = "expired"
    ALREADY_QUEUED = "already_queued"
    CAP = "cap"
    LOCKOUT = "lockout"


class Refusal(StrEnum):
    """Why a lead may not be called.

    The lead stays queued after ``too_early``, ``in_call``, ``no_current_list`` and, when it can still be called later,
    ``number_cap`` and ``lockout``. ``no_current_list``: its country's national do-not-call list is missing or too old.
    ``not_leader``: another dialer holds the campaign. ``campaign_rate``, ``campaign_spend``: the campaign may place no
    further call now. ``gone``: the lead is not reserved by this call any more.
    """

    NOT_LEADER = "not_leader"
    CAMPAIGN_RATE = "campaign_rate"
    CAMPAIGN_SPEND = "campaign_spend"
    GONE = "gone"
    EXPIRED = "expired"
    TOO_EARLY = "too_early"
    BOUGHT = "bought"
    OPTED_OUT = "opted_out"
    DO_NOT_CALL = "do_not_call"
    NO_CURRENT_LIST = "no_current_list"
    CHANGED = "changed"
    LEAD_CAP = "lead_cap"
    NUMBER_CAP = "number_cap"
    LOCKOUT = "lockout"
    IN_CALL = "in_call"


class Settled(StrEnum):
    """What became of a lead after its call; ``unknown``: the call was settled before."""

    REQUEUED = "requeued"
    FINISHED = "finished"
    UNKNOWN = "unknown"


Reason = Literal["bought", "opted_out", "changed"]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal met: a lead that was waiting and is out now, or a call that the dialer hangs up if it rings."""

    lead: Lead | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """A lead that may be called now, by this call and no other. ``attempt`` counts from 1.

    ``agent`` is set when it is a callback that this agent promised, who was free when it was reserved.
    """

    lead: Lead
    call_id: str
    attempt: int
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A lead that may not be called now. ``over`` is the lead when it was taken out for good by this refusal."""

    reason: Refusal
    over: Lead | None = None


@dataclass(frozen=True, slots=True)
class InProgress:
    """A call that is not settled. Before ``launched`` its originate can't have been sent."""

    call_id: str
    lead: Lead
    started: float
    launched: bool
    attempt: int
    withdrawn: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """How many leads may be called now, below each of some priorities and above; how many wait for later.

    ``spent`` is the share of the day's budget that is used up; 0 without one.
    """

    ready: tuple[int, ...]
    later: int
    spent: float

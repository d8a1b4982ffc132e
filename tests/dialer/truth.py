"""What has become of leads and calls, as their world knows it; it stops a test at the first never event."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dialer.hopper import Reserved
from ringback.decisions import Lead


@dataclass
class Truth:
    """What has happened, written down independently of the hopper."""

    bought: dict[str, float] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    opted_out_phones: set[str] = field(default_factory=set)
    do_not_call: set[str] = field(default_factory=set)
    booked: dict[str, tuple[str, Lead, float]] = field(default_factory=dict)  # calls: campaign, lead, when reserved
    ringing: dict[str, Lead] = field(default_factory=dict)  # what lives in Asterisk
    originated: set[str] = field(default_factory=set)
    over: set[tuple[str, str]] = field(default_factory=set)  # leads that may never be called again
    lockouts: dict[str, float] = field(default_factory=dict)
    leads: dict[tuple[str, str], Lead] = field(default_factory=dict)
    list_obtained: float = float("-inf")

    def reserved(
        self, name: str, row: Reserved, now: float, caps: Iterable[tuple[float, int]], in_hand: Iterable[str]
    ) -> None:
        """A call is booked; it must be one that may be. ``in_hand`` are the calls that dialers hold."""
        held = row.lead
        assert held == self.leads[name, held.lead_id]
        assert (name, held.lead_id) not in self.over
        self.may_be_called(held)
        assert held.callable_from <= now < held.callable_until
        for key in (held.phone_ref, held.shopper_id):
            assert self.lockouts.get(key, now) <= now
        for seconds, most in caps:
            lately = [one for _, one, at in self.booked.values() if at > now - seconds]
            assert sum(one.phone_ref == held.phone_ref for one in lately) < most
            assert sum(one.shopper_id == held.shopper_id for one in lately) < most
        for call in in_hand:
            other = self.booked[call][1]
            assert call == row.call_id or other.phone_ref != held.phone_ref
            assert call == row.call_id or other.shopper_id != held.shopper_id
        self.booked[row.call_id] = (name, held, now)

    def may_be_called(self, held: Lead) -> None:
        """Neither bought nor opted out, and on no list."""
        assert self.bought.get(held.shopper_id, float("-inf")) < held.last_activity
        assert held.shopper_id not in self.opted_out
        assert held.phone_ref not in self.opted_out_phones | self.do_not_call

    def has_a_current_list(self, now: float, oldest: float) -> None:
        """The national list was obtained less than so many seconds ago."""
        assert now - self.list_obtained < oldest

    def rings(self, call_id: str) -> None:
        """A call is originated: once, and nobody's phone rings twice at a time."""
        _, held, _ = self.booked[call_id]
        for other in self.ringing.values():
            assert other.phone_ref != held.phone_ref
            assert other.shopper_id != held.shopper_id
        assert call_id not in self.originated
        self.originated.add(call_id)
        self.ringing[call_id] = held

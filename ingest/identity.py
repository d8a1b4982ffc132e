"""Who a shopper is: the references that a shop's platform gives in its events, stitched together. Pure.

A reference is known or new. New ones come to belong to the shopper whom the known ones of the same event lead to, or to
a new shopper, whose id is made of the strongest of them. Where known ones lead to several shoppers, these are one
person and are merged; the smallest id wins. But two customers of a shop are two people: a shopper has one customer at
most. The references are looked at from the strongest to the weakest, and one that leads to another customer's shopper
than the stronger ones does not merge: from now on it leads to the event's shopper (a computer in a library, an e-mail
address that a family shares).

The order in which events arrive decides which id wins, and never who is one person with whom. The exception is what
two customers share: a reference belongs to the one who used it last, and a shopper without a customer who could be
either of them to the one whom an event connects it with first.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ringback.records import Refs

STRONGEST_FIRST = ("customer", "email", "phone", "anonymous", "cart", "checkout", "order", "session")


class Names(NamedTuple):
    """An event's references, hashed, strongest first. ``customer``: whether the first is a customer reference."""

    refs: tuple[str, ...]
    customer: bool


class Merge(NamedTuple):
    """Two shoppers are one; what is known of the loser is handed over to the winner."""

    winner: str
    loser: str


class Known(NamedTuple):
    """What is known of a reference.

    ``held`` is the shopper that it was given to, None where it was given to none or is forgotten. ``shopper`` is who
    that is now, after merges; a forgotten reference may still be known as the id of a shopper who was merged.
    ``customer`` is that shopper's customer reference (of an unknown one: of the shopper whose id it is). ``unsettled``
    are merges on the way whose publication was not confirmed.
    """

    held: str | None = None
    shopper: str | None = None
    customer: str | None = None
    unsettled: tuple[Merge, ...] = ()


class Placed(NamedTuple):
    """Whose an event is, and the merges that must be published before it."""

    shopper: str
    merges: tuple[Merge, ...]


class Repoint(NamedTuple):
    """A reference leaves one customer's shopper for another's."""

    ref: str
    before: str
    shopper: str


@dataclass(slots=True)
class Resolution:
    """Where events belong, and what has to be remembered of it.

    ``claims`` (new references), ``customers`` and ``merges`` are written before publication, provided that all of
    ``expected`` (shoppers with their customers) are still as they were read. ``unsettled`` were written so by somebody
    who did not finish. All merges are settled, and ``repoints`` written, after publication.
    """

    placed: list[Placed] = field(default_factory=list)
    expected: dict[str, str | None] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    customers: dict[str, str] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    unsettled: list[Merge] = field(default_factory=list)
    repoints: list[Repoint] = field(default_factory=list)

    @property
    def claiming(self) -> bool:
        """Whether something must be written before publication."""
        return bool(self.claims or self.customers or self.merges)


def names(refs: Refs, scope: str, key: bytes) -> Names:
    """The references of an event of the shop named ``scope``, as HMAC-SHA256, 32 hex digits each."""
    given = [(kind, getattr(refs, kind)) for kind in STRONGEST_FIRST]
    hashed = tuple(_hash(scope, kind, value, key) for kind, value in given if value is not None)
    return Names(hashed, customer=refs.customer is not None)


def resolve(events: Sequence[Names], known: Mapping[str, Known]) -> Resolution:
    """Find the shopper of each event, in their order. ``known`` has an entry for every reference of theirs."""
    graph = _Graph(known)
    for event in events:
        graph.place(event)
    return graph.resolution


def erased(event: Names, known: Mapping[str, Known]) -> list[str]:
    """The shoppers whom an event that asks for erasure is about; they are not merged, since nothing of them stays.

    The shopper whom a new reference would have made is among them: what was published of it before it was forgotten
    here may live on elsewhere.
    """
    group, _ = _Graph(known).followed(event)
    unsettled = [merge.loser for ref in event.refs for merge in known[ref].unsettled if known[ref].shopper in group]
    new = [ref for ref in event.refs if known[ref].shopper is None]
    return list(dict.fromkeys([*unsettled, *group, *new]))


def _hash(scope: str, kind: str, value: str, key: bytes) -> str:
    same = value.strip().casefold() if kind == "email" else value
    return hmac.digest(key, f"{scope}\0{kind}\0{same}".encode(), hashlib.sha256).hex()[:32]


class _Graph:
    """What is known, and what the events placed so far add to it."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._points: dict[str, str] = {}
        self._moved: dict[str, str] = {}
        self._read = {one.shopper or ref: one.customer for ref, one in known.items()}
        self._customers = dict(self._read)
        self.resolution = Resolution()

    def followed(self, event: Names) -> tuple[list[str], str | None]:
        """The shoppers whom an event shows to be one person, strongest first, and their customer."""
        customer = event.refs[0] if event.customer else None
        group: list[str] = []
        for ref in event.refs:
            shopper = self._shopper(ref)
            if shopper is not None and shopper not in group:
                theirs = self._customers[shopper]
                if customer is None or theirs is None or customer in (theirs, ref):
                    customer = customer or theirs
                    group.append(shopper)
        return group, customer

    def place(self, event: Names) -> None:
        """Decide whose an event is."""
        group, customer = self.followed(event)
        winner = min(group, default=event.refs[0])
        new = self._unsettled(event)
        for loser in sorted(set(group) - {winner}):
            new.append(Merge(winner, loser))
            self.resolution.merges.append(new[-1])
            self._moved[loser] = winner
            self._expect(loser)
            self._expect(winner)
        self._give(event, winner)
        if customer is not None and self._customers.get(winner) != customer:
            self._expect(winner)
            self._customers[winner] = self.resolution.customers[winner] = customer
        self.resolution.placed.append(Placed(winner, tuple(new)))

    def _give(self, event: Names, winner: str) -> None:
        for ref in event.refs:
            shopper = self._shopper(ref)
            if shopper is None or (self._known[ref].held is None and ref not in self._points):
                self._points[ref] = self.resolution.claims[ref] = winner
                self._expect(winner)
            elif shopper != winner:
                self._points[ref] = winner
                self.resolution.repoints.append(Repoint(ref, shopper, winner))

    def _unsettled(self, event: Names) -> list[Merge]:
        found = dict.fromkeys(merge for ref in event.refs for merge in self._known[ref].unsettled)
        new = [merge for merge in found if merge not in self.resolution.unsettled]
        self.resolution.unsettled += new
        return new

    def _shopper(self, ref: str) -> str | None:
        shopper = self._points.get(ref) or self._known[ref].shopper
        while shopper in self._moved:
            shopper = self._moved[shopper]
        return shopper

    def _expect(self, shopper: str) -> None:
        self.resolution.expected.setdefault(shopper, self._read.get(shopper))

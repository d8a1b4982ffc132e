"""Two shoppers who turn out to be one: no decision is lost or doubled, and no call is left standing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.cart import Cart
from ringback.decisions import Decision, Lead
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, EventKind, Item, encode
from stream import carts, merge
from stream.carts import ShopperState
from stream.partition import Partition, Withdrawal
from tests.stream.shop import ADA, NOON, added, event, feed, held, ordered, partition, take_over, viewed

HALF_AN_HOUR = 1800.0
LONG_AFTER = 100 * HALF_AN_HOUR


def absorbed(at: float, winner: str = "ada", loser: str = "bob") -> CartEvent:
    return event(EventKind.ABSORBED, at, winner, other=loser, shopper=None, event_id=f"a-{winner}-{loser}")


def moved(at: float, loser: str = "bob", winner: str = "ada") -> CartEvent:
    return event(EventKind.MOVED, at, loser, other=winner, shopper=None, event_id=f"m-{loser}-{winner}")


@dataclass
class Worker:
    """One partition, its log, and what survives when it dies."""

    part: Partition = field(default_factory=partition)
    log: list[CartEvent] = field(default_factory=list)
    read: int = 0
    committed: int = 0
    unwritten: dict[bytes, ShopperState] = field(default_factory=dict)
    durable: dict[bytes, ShopperState] = field(default_factory=dict)

    def writes(self) -> None:
        """As the flusher does: all states that changed since the last time, and then the records are committed."""
        self.durable |= self.unwritten
        self.unwritten = {}
        self.committed = self.read

    def dies(self) -> None:
        self.unwritten = {}
        self.part = partition()
        take_over(self.part, self.durable)
        self.read = self.committed


class Workers:
    """Workers by the first letter of their shoppers' ids; what they forward is appended to the others' logs."""

    def __init__(self, letters: str) -> None:
        self.by_letter = {letter: Worker() for letter in letters}
        self.decisions: dict[str, Decision] = {}
        self.hopper: list[Lead | Withdrawal] = []

    def tell(self, *events: CartEvent) -> None:
        for one in events:
            self.by_letter[one.shopper_id[0]].log.append(one)

    def step(self, letter: str, *, written: bool = True) -> None:
        """One record of a worker; what it publishes is out, whether or not its states are written."""
        worker = self.by_letter[letter]
        if worker.read == len(worker.log):
            return
        feed(worker.part, worker.log[worker.read : worker.read + 1], first_offset=worker.read)
        worker.read += 1
        self._publish(worker)
        if written:
            worker.writes()

    def run(self) -> None:
        while any(worker.read < len(worker.log) for worker in self.by_letter.values()):
            for letter in self.by_letter:
                self.step(letter)

    def tick(self, at: float) -> None:
        for worker in self.by_letter.values():
            worker.part.tick(NOON + at)
            self._publish(worker)
            worker.writes()

    def state(self, shopper_id: str) -> ShopperState:
        return held(self.by_letter[shopper_id[0]].part)[shopper_id.encode()]

    def _publish(self, worker: Worker) -> None:
        effects = worker.part.take_effects()
        self.decisions |= {decision.decision_id: decision for decision in effects.decisions}
        self.hopper += effects.hopper
        self.tell(*effects.forwards)
        worker.unwritten |= effects.states


def products(items: Sequence[Item]) -> set[str]:
    return {item.product_id for item in items}


def as_one(log: Sequence[CartEvent]) -> Workers:
    alone = Workers("a")
    alone.tell(*(msgspec.structs.replace(one, shopper_id="ada") for one in log))
    alone.run()
    alone.tick(LONG_AFTER)
    return alone


@st.composite
def halves(draw: st.DrawFn) -> tuple[list[CartEvent], list[CartEvent]]:
    """Bob's events and then Ada's, less than half an hour in all."""
    log: list[CartEvent] = []
    for number in range(draw(st.integers(2, 10))):
        kind = draw(st.sampled_from([EventKind.ITEM_ADDED] * 4 + [EventKind.CHECKOUT_STEP, EventKind.ORDER_COMPLETED]))
        one = added(number * 100, product=f"p{number}", cart_id="c1", order_id="o1", event_id=f"e{number:02}", step=1)
        log.append(msgspec.structs.replace(one, kind=kind))
    cut = draw(st.integers(1, len(log) - 1))
    return [msgspec.structs.replace(one, shopper_id="bob") for one in log[:cut]], log[cut:]


@settings(max_examples=300, deadline=None)
@given(halves(), st.data())
def test_halves_come_to_what_they_would_have_been_as_one(
    both: tuple[list[CartEvent], list[CartEvent]], data: st.DataObject
) -> None:
    bobs, adas = both
    known_at = data.draw(st.integers(0, len(bobs)), label="moved before this event of the first half")
    absorbed_at = data.draw(st.integers(0, len(adas)), label="absorbed before this event of the second")
    link = bobs[-1].time - NOON + 1
    workers = Workers("ab")
    workers.tell(*bobs[:known_at], moved(link), *bobs[known_at:])
    workers.tell(*adas[:absorbed_at], absorbed(link), *adas[absorbed_at:])
    for letter, written, death in data.draw(
        st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 5)), max_size=40), label="steps"
    ):
        workers.step(letter, written=written)
        if death == 0:
            workers.by_letter[letter].dies()
    workers.run()
    workers.tick(LONG_AFTER)

    alone = as_one([*bobs, *adas])
    assert abandonments(workers) == abandonments(alone)
    joined, expected = workers.state("ada"), alone.state("ada")
    assert whole(joined.cart) == whole(expected.cart)
    assert [order.order_id for order in joined.orders] == [order.order_id for order in expected.orders]
    assert joined.history.head.bought_carts == expected.history.head.bought_carts
    stub = workers.state("bob")
    assert (stub.moved_to, stub.cart, stub.shopper) == ("ada", None, None)


def abandonments(workers: Workers) -> list[tuple[float, str, frozenset[str]]]:
    """The decisions, by when they were taken and what was in the carts; each once."""
    return sorted((made.time, made.cart_id, frozenset(products(made.items))) for made in workers.decisions.values())


def whole(cart: Cart | None) -> object:
    return cart and (cart.cart_id, cart.opened, cart.last_activity, products(cart.lines), cart.value)


@st.composite
def visits(draw: st.DrawFn) -> list[CartEvent]:
    """What one shopper does in some visits."""
    at, log = 0.0, []
    kinds = ["product_viewed", "item_added", "item_removed", "cart_snapshot", "checkout_started", "order_completed"]
    for number in range(draw(st.integers(2, 14))):
        at += draw(st.sampled_from([1.0, 600.0, HALF_AN_HOUR - 1, HALF_AN_HOUR + 1, 5000.0]))
        one = added(at, product=draw(st.sampled_from("abc")), event_id=f"e{number:02}", session_id="v1")
        log.append(msgspec.structs.replace(one, kind=EventKind(draw(st.sampled_from(kinds)))))
    return log


@settings(max_examples=300, deadline=None)
@given(visits(), st.data())
def test_a_shopper_who_is_known_late_is_decided_on_as_one_who_was_always_known(
    log: list[CartEvent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(log) - 1), label="the second half begins")
    link = log[cut].time - NOON - 0.5
    workers = Workers("ab")
    workers.tell(*(msgspec.structs.replace(one, shopper_id="bob") for one in log[:cut]))
    workers.tell(absorbed(link), moved(link))
    workers.run()
    workers.tell(*log[cut:])
    workers.run()
    workers.tick(LONG_AFTER)
    alone = as_one(log)
    assert abandonments(workers) == abandonments(alone)
    joined, expected = workers.state("ada"), alone.state("ada")
    assert joined.history.head == expected.history.head
    assert (joined.judged, joined.waiting_since) == (expected.judged, expected.waiting_since)


def half(*log: CartEvent, judged: bool = False) -> ShopperState:
    part = partition()
    feed(part, log)
    if judged:
        part.tick(log[-1].time + HALF_AN_HOUR)
    return held(part)[log[0].shopper_id.encode()]


def test_two_carts_are_united_as_if_one_shopper_had_filled_them() -> None:
    ours = half(added(0, 500, product="socks", cart_id="c1"), added(1, 9_000, product="boots", cart_id="c1"))
    theirs = half(added(20, 8_000, product="boots", cart_id="c2"), added(50, 700, product="hat", cart_id="c2"))
    for both in (merge.merged(ours, theirs), merge.merged(theirs, ours)):
        cart = both.cart
        assert cart is not None
        assert (cart.cart_id, cart.opened, cart.last_activity) == ("c1", NOON, NOON + 50)
        assert {line.product_id: (line.quantity, line.unit_price) for line in cart.lines} == {
            "socks": (1, 500),
            "boots": (2, 8_000),
            "hat": (1, 700),
        }


def test_of_the_same_cart_the_newest_full_state_holds() -> None:
    old = half(added(0, product="socks", cart_id="c1"))
    new = half(added(20, product="boots", cart_id="c1", kind=EventKind.CART_SNAPSHOT))
    for both in (merge.merged(old, new), merge.merged(new, old)):
        assert both.cart is not None
        assert products(both.cart.lines) == {"boots"}


@pytest.mark.parametrize("order", [ordered(60, cart_id="c1"), ordered(60)])
def test_what_one_half_bought_is_bought(order: CartEvent) -> None:
    buyer, other = half(added(0, cart_id="c1"), order), half(added(30, cart_id="c1"))
    for both in (merge.merged(buyer, other), merge.merged(other, buyer)):
        assert both.cart is None
        assert both.waiting_since is None


def test_a_new_cart_after_the_other_halfs_order_stays_open() -> None:
    both = merge.merged(half(added(0, cart_id="c1"), ordered(60)), half(added(90, cart_id="c2")))
    assert both.cart is not None
    assert both.waiting_since == NOON + 90


@pytest.mark.parametrize("judged_first", [True, False])
def test_the_cart_is_judged_if_the_half_with_the_later_activity_was(judged_first: bool) -> None:
    early, late = half(added(0), judged=judged_first), half(added(100), judged=not judged_first)
    both = merge.merged(early, late)
    assert (both.waiting_since is None) == (not judged_first)


def test_of_two_currencies_one_cart_is_given_up_with_a_dead_letter() -> None:
    euro = msgspec.structs.replace(added(50, shopper_id="bob", product="hat"), currency="EUR")
    workers = Workers("ab")
    workers.tell(added(0), euro, absorbed(60), moved(60))
    for letter in "aabb":
        workers.step(letter)
    ada = workers.by_letter["a"]
    feed(ada.part, ada.log[ada.read :], first_offset=ada.read)
    (letter_,) = ada.part.take_effects().dead_letters
    assert letter_.reason == "mixed_currencies"
    cart = workers.state("ada").cart
    assert cart is not None
    assert (cart.currency, products(cart.lines)) == ("USD", {"boots"})


def test_a_purchase_withdraws_the_leads_under_all_ids() -> None:
    workers = Workers("ab")
    workers.tell(added(0, shopper_id="bob"))
    workers.run()
    workers.tick(HALF_AN_HOUR)
    workers.tell(absorbed(HALF_AN_HOUR + 5), ordered(HALF_AN_HOUR + 10), moved(HALF_AN_HOUR + 11))
    workers.run()
    (lead,) = [change for change in workers.hopper if isinstance(change, Lead)]
    assert lead.shopper_id == "bob"
    assert Withdrawal("bob", "bought", NOON + HALF_AN_HOUR + 10) in workers.hopper
    workers.tick(LONG_AFTER)
    assert len(workers.decisions) == 1


def test_who_comes_back_under_the_other_id_is_not_called_for_the_old_cart() -> None:
    workers = Workers("ab")
    workers.tell(added(0, shopper_id="bob"))
    workers.run()
    workers.tick(HALF_AN_HOUR)
    workers.tell(added(2000, product="hat"), absorbed(2001), moved(2001))
    workers.run()
    assert Withdrawal("bob", "changed", NOON + 2000) in workers.hopper
    workers.tick(LONG_AFTER)
    assert [made.shopper_id for made in workers.decisions.values()] == ["bob", "ada"]


def test_the_order_is_won_by_the_call_under_the_other_id() -> None:
    workers = Workers("ab")
    workers.tell(added(0, shopper_id="bob"))
    workers.run()
    workers.tick(HALF_AN_HOUR)
    workers.by_letter["b"].part.contact(b"bob", encode(contact(ContactKind.CONNECTED, 2000)), 0)
    workers.tell(ordered(3000, order_id="o1", value=12_000, currency="USD"), moved(3001))
    for letter in "abb":
        workers.step(letter)
    ada = workers.by_letter["a"]
    feed(ada.part, ada.log[ada.read :], first_offset=ada.read)
    (conversion,) = ada.part.take_effects().conversions
    assert (conversion.shopper_id, conversion.channel, conversion.value) == ("ada", Channel.VOICE, 12_000)


def contact(kind: ContactKind, at: float, shopper_id: str = "bob") -> ContactEvent:
    return ContactEvent(
        contact_id="call-1",
        lead_id="lead-1",
        shopper_id=shopper_id,
        cart_id="c1",
        channel=Channel.VOICE,
        kind=kind,
        time=NOON + at,
    )


def test_contacts_under_the_old_id_are_known_under_the_new_one() -> None:
    workers = Workers("ab")
    workers.tell(added(0), added(0, shopper_id="bob"), absorbed(10), moved(10))
    workers.run()
    bob = workers.by_letter["b"].part
    for offset, kind in enumerate([ContactKind.CONNECTED, ContactKind.OPTED_OUT, ContactKind.OPTED_OUT]):
        bob.contact(b"bob", encode(contact(kind, 20)), offset)
    effects = bob.take_effects()
    assert effects.hopper[:2] == [Withdrawal(one, "opted_out", NOON + 20) for one in ("bob", "ada")]
    workers.tell(*effects.forwards)
    workers.run()
    state = workers.state("ada")
    assert state.opted_out
    assert state.reached is not None
    assert state.cart is not None


def test_a_chain_of_moves_ends_with_the_last_one() -> None:
    workers = Workers("abc")
    workers.tell(added(0, shopper_id="cid", product="hat", cart_id="c1"), moved(5, "cid", "bob"), moved(6))
    workers.run()
    workers.tell(added(20, shopper_id="cid", product="socks", cart_id="c1"))
    workers.run()
    state = workers.state("ada")
    assert state.cart is not None
    assert products(state.cart.lines) == {"hat", "socks"}
    assert set(state.aliases) == {"bob", "cid"}


def test_who_moves_twice_joins_all_three() -> None:
    workers = Workers("abc")
    workers.tell(added(0, product="boots"), added(1, shopper_id="bob", product="hat"))
    workers.tell(added(2, shopper_id="cid", product="socks"))
    workers.tell(absorbed(5, "bob", "cid"), moved(5, "cid", "bob"))
    workers.run()
    workers.tell(absorbed(6, "ada", "cid"), moved(6, "cid", "ada"))
    workers.run()
    state = workers.state("ada")
    assert state.cart is not None
    assert products(state.cart.lines) == {"boots", "hat", "socks"}
    assert workers.state("bob").moved_to == "ada"


def test_nobody_is_moved_to_a_larger_id() -> None:
    part = partition()
    feed(part, [added(0), moved(1, "ada", "bob")])
    effects = part.take_effects()
    assert [letter.reason for letter in effects.dead_letters] == ["wrong_type"]
    assert effects.forwards == []
    assert held(part)[b"ada"].cart is not None


@pytest.mark.parametrize(
    "carried", [None, b"", b"{}", b"\x01" + bytes(16) + b"\xc1", carts.encode_state(carts.EMPTY)[:-3]]
)
def test_what_carries_no_state_is_a_dead_letter(carried: bytes | None) -> None:
    part = partition()
    feed(part, [added(0)])
    before = held(part)[b"ada"]
    feed(part, [event(EventKind.HANDED_OVER, 1, other="bob", carried=carried)], first_offset=1)
    assert [letter.reason for letter in part.take_effects().dead_letters] == ["wrong_type"]
    assert held(part)[b"ada"] == before


def test_carts_of_two_halves_that_were_judged_follow_each_other() -> None:
    """What is known of judged carts is joined without their events, and comes to what one shopper would have done."""
    first = added(0, cart_id="c1", session_id="v1", traffic="newsletter")
    second = added(20_000, cart_id="c2", session_id="v2", traffic="google / cpc")
    refused = event(EventKind.COUPON_REFUSED, 20_010, session_id="v2")
    ours, theirs = half(first, judged=True), half(second, refused, judged=True)
    for both in (merge.merged(ours, theirs), merge.merged(theirs, ours)):
        assert both.features == half(first, second, refused).features
        assert both.cart is not None
        assert both.cart.coupon_failures == 1


def test_visits_that_leave_no_gap_are_one() -> None:
    ours, theirs = half(viewed(0), viewed(60)), half(viewed(120), viewed(180))
    apart = half(viewed(10_000))
    assert merge.merged(ours, theirs).features == half(viewed(0), viewed(60), viewed(120), viewed(180)).features
    assert merge.merged(apart, ours).features == half(viewed(0), viewed(60), viewed(10_000)).features
    assert merge.merged(ours, carts.EMPTY).features == ours.features
    assert merge.merged(ours, carts.EMPTY).shopper == ADA

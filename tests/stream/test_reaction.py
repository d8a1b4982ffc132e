"""What becomes known of a shopper beside visits and carts: money given back, consent, erasure."""

import pytest

from ringback.decisions import Lead
from ringback.records import CartEvent, Channel, Consent, ContactEvent, ContactKind, EventKind, Shopper, encode
from stream.carts import ShopperState, emptied
from stream.partition import Partition, Withdrawal
from tests.stream.shop import NOON, added, event, feed, held, ordered, partition, viewed

HALF_AN_HOUR = 1800.0


def refunded(at: float, value: int | None, **fields: str) -> CartEvent:
    return event(EventKind.ORDER_REFUNDED, at, order_id="o1", value=value, currency="USD", **fields)


def cancelled(at: float) -> CartEvent:
    return event(EventKind.ORDER_CANCELLED, at, order_id="o1")


def sold() -> Partition:
    """A partition in which Ada bought for 120 USD after a call."""
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    connected = ContactEvent(
        contact_id="call-1",
        lead_id="lead-1",
        shopper_id="ada",
        cart_id="cart-1",
        channel=Channel.VOICE,
        kind=ContactKind.CONNECTED,
        time=NOON + 2000,
    )
    part.contact(b"ada", encode(connected), 0)
    feed(part, [ordered(3000, value=12_000, currency="USD", order_id="o1")], first_offset=1)
    assert [conversion.value for conversion in part.take_effects().conversions] == [12_000]
    return part


def test_what_is_given_back_of_an_order_is_not_won() -> None:
    part = sold()
    feed(part, [refunded(4000, 2_000), refunded(4100, 500), cancelled(4200)], first_offset=2)
    effects = part.take_effects()
    assert [conversion.value for conversion in effects.conversions] == [10_000, 9_500, 0]
    assert {(made.order_id, made.channel, made.contact_id) for made in effects.conversions} == {
        ("o1", Channel.VOICE, "call-1")
    }
    assert effects.ordered == []


@pytest.mark.parametrize(("value", "left"), [(99_000, 0), (None, 0), (1, 11_999)])
def test_no_order_is_worth_less_than_nothing(value: int | None, left: int) -> None:
    part = sold()
    feed(part, [refunded(4000, value)], first_offset=2)
    assert [conversion.value for conversion in part.take_effects().conversions] == [left]


def test_a_refund_that_overtakes_its_order_counts() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    feed(part, [refunded(3100, 2_000), ordered(3000, value=12_000, currency="USD", order_id="o1")], first_offset=1)
    assert [conversion.value for conversion in part.take_effects().conversions] == [10_000]


def test_a_refund_after_the_next_decision_counts_for_the_former() -> None:
    part = sold()
    feed(part, [added(5000, product="hat")], first_offset=2)
    part.tick(NOON + 5000 + HALF_AN_HOUR)
    (decision,) = part.take_effects().decisions
    feed(part, [cancelled(8000)], first_offset=3)
    (conversion,) = part.take_effects().conversions
    assert conversion.value == 0
    assert conversion.decision_id != decision.decision_id


def test_a_cancelled_orders_cart_stays_bought() -> None:
    part = partition()
    feed(part, [added(0, cart_id="c1"), ordered(10, cart_id="c1", order_id="o1"), cancelled(20)])
    feed(part, [added(30, cart_id="c1")], first_offset=3)
    assert held(part)[b"ada"].cart is None


@pytest.mark.parametrize(
    "kind",
    [
        EventKind.ORDER_CANCELLED,
        EventKind.ORDER_REFUNDED,
        EventKind.CONSENT_CHANGED,
        EventKind.DATA_REQUESTED,
        EventKind.RATED,
    ],
)
def test_what_is_no_act_of_the_shopper_puts_nothing_off(kind: EventKind) -> None:
    part = partition()
    feed(part, [added(0), event(kind, 1000, order_id="o1"), viewed(2000, shopper_id="eve")])
    effects = part.take_effects()
    assert [decision.time for decision in effects.decisions] == [NOON + HALF_AN_HOUR]
    assert effects.events[kind] == 1
    assert held(part)[b"ada"].features.events == 1


def consent_changed(at: float, consent: Consent) -> CartEvent:
    return event(EventKind.CONSENT_CHANGED, at, shopper=Shopper(consent=consent))


def test_a_no_to_calls_withdraws_the_call() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    assert isinstance(part.take_effects().hopper[0], Lead)
    feed(part, [consent_changed(2000, Consent(sms=False)), consent_changed(2001, Consent(voice=False))], first_offset=1)
    assert part.take_effects().hopper == [Withdrawal("ada", "opted_out", NOON + 2001)]
    shopper = held(part)[b"ada"].shopper
    assert shopper is not None
    assert shopper.consent == Consent(voice=False, sms=False, chat=True, evidence="checkout")


def test_an_answer_that_was_captured_before_does_not_replace_a_newer_one() -> None:
    part = partition()
    feed(part, [added(0), consent_changed(20, Consent(voice=True, evidence="account", captured=NOON + 20))])
    feed(part, [consent_changed(30, Consent(voice=False, captured=NOON + 10))], first_offset=2)
    assert part.take_effects().hopper == []
    shopper = held(part)[b"ada"].shopper
    assert shopper is not None
    assert shopper.consent is not None
    assert shopper.consent.voice is True


def test_nothing_personal_is_left_of_who_is_erased() -> None:
    part = partition()
    feed(part, [event(EventKind.OPTED_OUT, 0), added(10), event(EventKind.ERASED, 20), added(5), viewed(15)])
    effects = part.take_effects()
    assert effects.hopper[-1] == Withdrawal("ada", "opted_out", NOON + 20)
    state = held(part)[b"ada"]
    assert state.opted_out
    assert state.offset == 4
    assert (state.shopper, state.cart, state.orders, state.history) == (None, None, (), ShopperState().history)
    assert emptied(state).erased == NOON + 20
    part.tick(NOON + 10 * HALF_AN_HOUR)
    assert part.take_effects().decisions == []


def test_who_was_erased_may_begin_anew() -> None:
    part = partition()
    feed(part, [added(0), event(EventKind.ERASED, 20), added(30, product="hat")])
    cart = held(part)[b"ada"].cart
    assert cart is not None
    assert [line.product_id for line in cart.lines] == ["hat"]


def test_a_newer_message_about_an_order_changes_its_value_only() -> None:
    part = sold()
    feed(part, [added(3100, product="hat"), ordered(3200, value=13_000, currency="USD", order_id="o1")], first_offset=2)
    effects = part.take_effects()
    assert [(made.value, made.ordered) for made in effects.conversions] == [(13_000, NOON + 3000)]
    state = held(part)[b"ada"]
    assert state.cart is not None
    assert state.features.purchases == 1

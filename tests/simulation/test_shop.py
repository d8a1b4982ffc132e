"""The simulated shop: orderly, reproducible, and answering to contacts."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import cart as carts
from ringback.cart import Cart
from ringback.records import CartEvent, Channel, EventKind, encode
from simulation.people import is_fictional
from simulation.shop import DAY, HOUR, Shop, training_log
from simulation.shopper import Doubt, help_of

START = 1_800_000_000.0

calls = st.lists(
    st.tuples(
        st.floats(60, 6 * HOUR),
        st.integers(0, 39),
        st.sampled_from(Channel),
        st.none() | st.floats(0, 600),
    ),
    max_size=30,
)


def play(seed: int, contacts: list[tuple[float, int, Channel, float | None]]) -> list[CartEvent]:
    """A small, busy shop that is watched for some hours, with contacts in between."""
    shop = Shop(seed, visits_per_hour=40, shoppers=40, start=START)
    events: list[CartEvent] = []
    for wait, number, channel, talk in contacts:
        events += shop.events_until(shop.now + wait)
        shop.contacted(f"s{number:06d}", channel, shop.now, talk)
    return events + shop.events_until(shop.now + 12 * HOUR)


@settings(max_examples=25)
@given(st.integers(0, 1000), calls)
def test_the_same_seed_and_calls_give_the_same_events(
    seed: int, contacts: list[tuple[float, int, Channel, float | None]]
) -> None:
    assert [encode(event) for event in play(seed, contacts)] == [encode(event) for event in play(seed, contacts)]


@settings(max_examples=25)
@given(st.integers(0, 1000), calls)
def test_events_are_orderly_whatever_contacts_are_made(
    seed: int, contacts: list[tuple[float, int, Channel, float | None]]
) -> None:
    events = play(seed, contacts)
    times = [event.time for event in events]
    assert times == sorted(times)
    assert len({event.event_id for event in events}) == len(events)
    last_of: dict[str, float] = {}
    bought: set[str | None] = set()
    open_carts: dict[str, Cart | None] = {}
    for event in events:
        assert event.time > last_of.get(event.shopper_id, START)
        last_of[event.shopper_id] = event.time
        assert event.cart_id is None or event.cart_id not in bought
        cart = open_carts[event.shopper_id] = carts.apply(before := open_carts.get(event.shopper_id), event)
        if cart is not None and event.cart_id is not None:
            assert cart.cart_id == event.cart_id
        if event.kind is EventKind.ORDER_COMPLETED:
            bought.add(event.cart_id)
            assert before is not None
            assert event.value == before.value > 0
            assert event.items == before.lines
            assert event.currency == before.currency
        if event.shopper is not None and event.shopper.phone is not None:
            assert is_fictional(event.shopper.phone)


def test_how_time_is_cut_does_not_matter() -> None:
    def cut(steps: int) -> list[CartEvent]:
        shop = Shop(5, start=START)
        return [event for step in range(1, steps + 1) for event in shop.events_until(START + 4 * HOUR * step / steps)]

    assert cut(1) == cut(240)


def test_seeds_differ() -> None:
    assert Shop(1, start=START).events_until(START + HOUR) != Shop(2, start=START).events_until(START + HOUR)


def test_the_funnel_is_like_a_shops() -> None:
    """Three carts of four are left in the visit in which they were filled; some are bought later, unasked."""
    opened: dict[str, str | None] = {}
    ordered: dict[str, str | None] = {}
    kinds: dict[EventKind, int] = defaultdict(int)
    for event in training_log(shoppers=1500, days=21, seed=4):
        kinds[event.kind] += 1
        if event.cart_id is not None:
            opened.setdefault(event.cart_id, event.session_id)
            if event.kind is EventKind.ORDER_COMPLETED:
                ordered[event.cart_id] = event.session_id
    at_once = sum(ordered.get(cart) == session for cart, session in opened.items())
    assert 0.65 < 1 - at_once / len(opened) < 0.85
    assert 0.3 < 1 - len(ordered) / len(opened) < 0.75
    assert kinds[EventKind.PRODUCT_VIEWED] > kinds[EventKind.ITEM_ADDED] > kinds[EventKind.CHECKOUT_STARTED]
    assert kinds[EventKind.CHECKOUT_STARTED] > kinds[EventKind.ORDER_COMPLETED] > kinds[EventKind.PAYMENT_FAILED] > 0
    assert kinds[EventKind.OPTED_OUT] == 0


def test_a_training_log_spans_its_days() -> None:
    events = list(training_log(shoppers=300, days=3, seed=1))
    assert 2.5 * DAY < events[-1].time - events[0].time < 3 * DAY
    assert {event.currency for event in events} >= {"USD", None}


def outcome(channel: Channel | None, talk: float | None) -> tuple[list[str], set[str]]:
    """Everybody whose cart waits after five hours is contacted, or nobody is: who that is, and who of them buys."""
    shop = Shop(8, visits_per_hour=600, shoppers=3000, start=START)
    open_carts: dict[str, Cart | None] = {}
    for event in shop.events_until(START + 5 * HOUR):
        open_carts[event.shopper_id] = carts.apply(open_carts.get(event.shopper_id), event)
    waiting = [one for one, cart in open_carts.items() if cart and cart.lines and cart.last_activity < shop.now - 1800]
    if channel is not None:
        for one in waiting:
            shop.contacted(one, channel, shop.now, talk)
    later = shop.events_until(START + 10 * HOUR)
    buyers = {event.shopper_id for event in later if event.kind is EventKind.ORDER_COMPLETED}
    return waiting, buyers & set(waiting)


def test_a_talk_wins_more_than_a_message_and_a_message_more_than_nothing() -> None:
    waiting, alone = outcome(None, None)
    reminded = outcome(Channel.SMS, None)[1]
    called = outcome(Channel.VOICE, 120.0)
    assert called[0] == waiting
    assert 0.05 < len(alone) / len(waiting) < 0.3
    assert len(alone) < len(reminded) < len(called[1])


def test_who_was_not_contacted_does_the_same_as_without_contacts() -> None:
    """So that the holdout of a run is comparable with the whole of another."""
    plain, busy = Shop(3, start=START), Shop(3, start=START)
    chosen = "s000007"
    for hour in range(1, 9):
        left, right = plain.events_until(START + hour * HOUR), busy.events_until(START + hour * HOUR)
        assert [e for e in left if e.shopper_id != chosen] == [e for e in right if e.shopper_id != chosen]
        busy.contacted(chosen, Channel.VOICE, START + hour * HOUR, 90.0)


def test_a_bought_cart_is_not_bought_again_because_of_a_contact() -> None:
    plain, busy = Shop(6, start=START), Shop(6, start=START)
    events = plain.events_until(START + HOUR)
    assert busy.events_until(START + HOUR) == events
    order = next(event for event in reversed(events) if event.kind is EventKind.ORDER_COMPLETED)
    busy.contacted(order.shopper_id, Channel.VOICE, START + HOUR, 300.0)
    left, right = plain.events_until(START + 9 * HOUR), busy.events_until(START + 9 * HOUR)
    assert [event for event in right if event.kind is not EventKind.OPTED_OUT] == left


def test_some_answer_a_contact_with_an_opt_out_and_only_once() -> None:
    shop = Shop(2, shoppers=400, start=START)
    for minute in range(3):
        for number in range(400):
            shop.contacted(f"s{number:06d}", Channel.SMS, START + 60.0 * minute)
    opted_out = [event.shopper_id for event in shop.events_until(START + HOUR) if event.kind is EventKind.OPTED_OUT]
    assert 5 < len(opted_out) < 60
    assert len(set(opted_out)) == len(opted_out)


def test_a_contact_in_the_past_counts_as_now() -> None:
    shop = Shop(2, start=START)
    shop.events_until(START + 3 * HOUR)
    for number in range(2000):
        shop.contacted(f"s{number:06d}", Channel.VOICE, START, 60.0)
    assert all(event.time > START + 3 * HOUR for event in shop.events_until(START + 5 * HOUR))


def test_a_stranger_can_not_be_contacted() -> None:
    with pytest.raises(KeyError):
        Shop(1, shoppers=10).contacted("nobody", Channel.VOICE, 0.0)


@pytest.mark.parametrize("doubt", list(Doubt))
def test_a_call_without_a_talk_helps_as_little_as_a_message(doubt: Doubt) -> None:
    message = help_of(doubt, Channel.SMS, None)
    assert help_of(doubt, Channel.VOICE, None) == help_of(doubt, Channel.VOICE, 3.0) == message
    assert help_of(doubt, Channel.VOICE, 60.0) > message


def test_orders_are_rated_and_nothing_else_changes() -> None:
    silent, asked = Shop(4, start=START), Shop(4, start=START, rated=1.0)
    plain, told = silent.events_until(START + DAY), asked.events_until(START + DAY)
    ratings = [event for event in told if event.kind is EventKind.RATED]
    assert [event for event in told if event.kind is not EventKind.RATED] == plain
    orders = {event.order_id: event for event in plain if event.kind is EventKind.ORDER_COMPLETED}
    assert len({event.order_id for event in ratings}) == len(ratings) > 0.9 * len(orders) > 0
    assert all(event.time > orders[event.order_id].time for event in ratings)
    assert {event.rating for event in ratings} <= {1, 2, 3, 4, 5}
    assert not [event for event in plain if event.kind is EventKind.RATED]

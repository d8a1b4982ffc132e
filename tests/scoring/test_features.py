"""The features: what each means, and that none of them looks ahead."""

import math
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback import cart as carts
from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind
from scoring import features
from scoring.features import DAY, EMPTY, FEATURES, FeatureState, update, vector
from tests.scoring.events import Log, any_events, logs


def fold(events: Iterable[CartEvent]) -> tuple[FeatureState, Cart | None]:
    state, cart = EMPTY, None
    for event in events:
        try:
            cart = carts.apply(cart, event)
        except BadEvent:
            continue
        state = update(state, event)
    return state, cart


def named(events: Iterable[CartEvent], now: float) -> dict[str, float]:
    state, cart = fold(events)
    assert cart is not None
    return dict(zip((feature.name for feature in FEATURES), vector(state, cart, now), strict=True))


def test_a_first_visit() -> None:
    log = Log()
    log.add(EventKind.PRODUCT_VIEWED, 100, "a")
    log.add(EventKind.PRODUCT_VIEWED, 110, "b")
    log.add(EventKind.PRODUCT_VIEWED, 120, "a")
    log.add(EventKind.ITEM_ADDED, 130, "a", price=2500)
    log.add(EventKind.ITEM_ADDED, 140, "c", "c", price=10_000, category="tents")
    log.add(EventKind.ITEM_REMOVED, 150, "c", price=10_000, category="tents")
    log.add(EventKind.CHECKOUT_STEP, 160, step=2)
    log.add(EventKind.PAYMENT_FAILED, 170)
    found = named(log.events, 1970)
    nothing = {name for name, number in found.items() if math.isnan(number)}
    assert nothing == {"days_since_visit", "days_since_purchase"}
    assert {name: found[name] for name in found if name not in nothing} == pytest.approx(
        {
            "cart_value_log": math.log1p(125),
            "pieces": 2,
            "products": 2,
            "categories": 2,
            "price_spread": 0.75,
            "removals": 1,
            "checkout_step": 2,
            "payment_failures": 1,
            "cart_age": 1840,
            "idle": 1800,
            "visit_age": 1870,
            "views": 3,
            "products_viewed": 2,
            "cart_views": 2,
            "pace": 10,
            "visit_number": 1,
            "past_carts": 0,
            "past_purchases": 0,
        }
    )


def test_history_of_a_returning_buyer() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", session="1")
    log.add(EventKind.ORDER_COMPLETED, 60, "a", session="1")
    log.add(EventKind.PRODUCT_VIEWED, 2 * DAY, "b", session="2")
    log.add(EventKind.ITEM_ADDED, 2 * DAY + 60, "b", session="2")
    found = named(log.events, 2 * DAY + 60)
    assert found["visit_number"] == 2
    assert found["past_carts"] == 1
    assert found["past_purchases"] == 1
    assert found["days_since_visit"] == pytest.approx(2)
    assert found["days_since_purchase"] == pytest.approx(2)


@pytest.mark.parametrize(
    ("pause", "session", "visits"),
    [(1800, "1", 1), (1801, "1", 2), (60, "2", 2), (60, None, 1), (1801, None, 2)],
)
def test_a_visit_ends_with_silence_or_another_session(pause: float, session: str | None, visits: int) -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", session="1")
    log.add(EventKind.PRODUCT_VIEWED, pause, "a", session=session)
    found = named(log.events, pause)
    assert found["visit_number"] == visits
    assert found["views"] == 1


def test_a_late_event_leaves_the_visit_as_it_is() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 10_000, "a", session="2")
    log.add(EventKind.PRODUCT_VIEWED, 10_050, "a", session="2")
    before = fold(log.events)[0]
    log.add(EventKind.PRODUCT_VIEWED, 500, "b", session="1")
    assert fold(log.events)[0] == before


def test_an_opt_out_is_no_visit() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    before = fold(log.events)[0]
    assert update(before, log.add(EventKind.OPTED_OUT, 90_000)) == before


@pytest.mark.parametrize(("currency", "price"), [("USD", 10_000), ("JPY", 100), ("KWD", 100_000)])
def test_the_value_is_in_major_units_of_the_currency(currency: str, price: int) -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", price=price, currency=currency)
    assert named(log.events, 0)["cart_value_log"] == pytest.approx(math.log1p(100))


def test_what_is_not_known_is_missing() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", "b", price=0, category=None)
    found = named(log.events, 0)
    nothing = {name for name, number in found.items() if math.isnan(number)}
    optional = {feature.name for feature in FEATURES if feature.missing}
    assert nothing == optional - {"visit_age"}


@given(logs(), any_events(st.floats(-1e12, 1e12, allow_nan=False)))
def test_update_is_defined_for_every_event_and_the_state_survives_the_wire(
    events: list[CartEvent], odd: CartEvent
) -> None:
    state = EMPTY
    for event in (*events, odd):
        state = update(state, event)
    assert msgspec.json.decode(msgspec.json.encode(state), type=FeatureState) == state
    assert len(msgspec.json.encode(state)) < 600


@given(logs(), st.floats(-1e6, 1e6))
def test_every_number_is_finite_or_missing_where_that_is_allowed(events: list[CartEvent], wait: float) -> None:
    state, cart = fold(events)
    if cart is None:
        return
    for feature, number in zip(FEATURES, vector(state, cart, cart.last_activity + wait), strict=True):
        if math.isnan(number):
            assert feature.missing, feature.name
        else:
            assert 0 <= number < math.inf, feature.name


@given(logs(), logs())
def test_later_events_never_change_an_earlier_vector(events: list[CartEvent], later: list[CartEvent]) -> None:
    """The vectors of a log are the first vectors of any log that goes on from it."""

    def vectors(log: Iterable[CartEvent]) -> list[str]:
        found = []
        state, cart = EMPTY, None
        for event in log:
            try:
                cart = carts.apply(cart, event)
            except BadEvent:
                continue
            state = update(state, event)
            found.append("" if cart is None else repr(vector(state, cart, event.time)))
        return found

    end = max((event.time for event in events), default=0.0)
    goes_on = [msgspec.structs.replace(event, time=end + event.time) for event in later]
    alone = vectors(events)
    assert vectors([*events, *goes_on])[: len(alone)] == alone


def test_names_are_unique_and_nothing_looks_at_the_calendar() -> None:
    names = [feature.name for feature in FEATURES]
    assert len(set(names)) == len(names)
    log = Log()
    log.add(EventKind.PRODUCT_VIEWED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 30, "a")
    moved = [msgspec.structs.replace(event, time=event.time + 123 * DAY + 4567) for event in log.events]
    assert repr(named(log.events, 90.0)) == repr(named(moved, 123 * DAY + 4567 + 90))


def test_nothing_looks_at_who_the_shopper_is() -> None:
    ada, bob = Log("ada"), Log("bob")
    for log in (ada, bob):
        log.add(EventKind.PRODUCT_VIEWED, 0, "a")
        log.add(EventKind.ITEM_ADDED, 30, "a")
    assert repr(named(ada.events, 90.0)) == repr(named(bob.events, 90.0))


@pytest.mark.parametrize(
    ("name", "changed"), [("VISIT_GAP_SECONDS", 600.0), ("DAY", 3600.0), ("FEATURES", FEATURES[::-1])]
)
def test_the_hash_changes_with_definitions_and_computation(
    monkeypatch: pytest.MonkeyPatch, name: str, changed: object
) -> None:
    before = features.feature_hash()
    monkeypatch.setattr(features, name, changed)
    # What the cache wraps: the hash as it would be computed now.
    assert features.feature_hash.__wrapped__() != before

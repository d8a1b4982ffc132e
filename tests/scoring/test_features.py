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
from scoring import features, industry, traffic
from scoring.features import DAY, EMPTY, FEATURES, FeatureState, probed, update, vector
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
    log.add(EventKind.PRODUCT_VIEWED, 100, "a", traffic="google / cpc")
    log.add(EventKind.PRODUCT_VIEWED, 110, "b")
    log.add(EventKind.PRODUCT_VIEWED, 120, "a")
    log.add(EventKind.ITEM_ADDED, 130, "a", price=2500)
    log.add(EventKind.ITEM_ADDED, 140, "c", "c", price=10_000, category="electronics.audio")
    log.add(EventKind.ITEM_REMOVED, 150, "c", price=10_000, category="electronics.audio")
    log.add(EventKind.PRODUCT_VIEWED, 155, "b", traffic="newsletter")
    log.add(EventKind.CHECKOUT_STEP, 160, step=2)
    log.add(EventKind.COUPON_REFUSED, 165)
    log.add(EventKind.PAYMENT_FAILED, 170)
    log.add(EventKind.PRODUCT_VIEWED, 180, "c")
    found = named(log.events, 1980)
    nothing = {name for name, number in found.items() if math.isnan(number)}
    assert nothing == {
        "past_conversion",
        "days_since_visit",
        "days_since_cart",
        "days_since_purchase",
    }
    assert {name: found[name] for name in found if name not in nothing} == pytest.approx(
        {
            "cart_value_log": math.log1p(125),
            "pieces": 2,
            "products": 2,
            "categories": 2,
            "price_spread": 0.75,
            "industry": industry.INDUSTRIES.index("electronics"),
            "removals": 1,
            "cart_age": 1850,
            "cart_idle": 1810,
            "checkout_step": 2,
            "coupon_failures": 1,
            "payment_failures": 1,
            "idle": 1800,
            "dwell": 80,
            "pace": 8,
            "views": 5,
            "views_since_cart": 1,
            "products_viewed": 3,
            "cart_views": 3,
            "most_cart_views": 2,
            "traffic": traffic.SOURCES.index("advert"),
            "visit_number": 1,
            "past_carts": 0,
            "past_purchases": 0,
        }
    )


def test_history_of_a_returning_buyer() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", session="1", traffic="email")
    log.add(EventKind.ORDER_COMPLETED, 60, "a", session="1")
    log.add(EventKind.ITEM_ADDED, DAY, "a", session="2", cart_id="left")
    log.add(EventKind.PRODUCT_VIEWED, DAY + 600, "a", session="2")
    log.add(EventKind.PRODUCT_VIEWED, 3 * DAY, "b", session="3")
    log.add(EventKind.ITEM_ADDED, 3 * DAY, "b", session="3", cart_id="new")
    found = named(log.events, 3 * DAY)
    assert found["visit_number"] == 3
    assert found["past_carts"] == 2
    assert found["past_purchases"] == 1
    assert found["past_conversion"] == 0.5
    assert found["days_since_visit"] == pytest.approx(2 - 600 / DAY)
    assert found["days_since_cart"] == pytest.approx(2)
    assert found["days_since_purchase"] == pytest.approx(3 - 60 / DAY)
    assert math.isnan(found["traffic"])


def test_a_cart_that_was_bought_ended_with_its_order() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ORDER_COMPLETED, DAY, "a")
    log.add(EventKind.ITEM_ADDED, 3 * DAY, "b")
    found = named(log.events, 3 * DAY)
    assert (found["days_since_cart"], found["days_since_purchase"], found["past_conversion"]) == (2, 2, 1)


@pytest.mark.parametrize("told", [None, "", "elsewhere", "(not set)"])
def test_traffic_in_unknown_words_is_missing(told: str | None) -> None:
    event = msgspec.structs.replace(Log().add(EventKind.ITEM_ADDED, 0, "a"), traffic=told)
    assert math.isnan(named([event], 0)["traffic"])


def test_how_a_visit_began_is_not_what_the_next_one_began_with() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a", traffic="newsletter")
    log.add(EventKind.PRODUCT_VIEWED, DAY, "a", session="2", traffic="who knows")
    assert math.isnan(named(log.events, DAY)["traffic"])
    log.add(EventKind.PRODUCT_VIEWED, DAY + 1, "a", session="2", traffic="(direct)")
    assert named(log.events, DAY + 1)["traffic"] == traffic.SOURCES.index("direct")


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
    assert nothing == optional - {"dwell"}


@given(logs(), any_events(st.floats(-1e12, 1e12, allow_nan=False)))
def test_update_is_defined_for_every_event_and_the_state_survives_the_wire(
    events: list[CartEvent], odd: CartEvent
) -> None:
    state = EMPTY
    for event in (*events, odd):
        state = update(state, event)
    assert msgspec.json.decode(msgspec.json.encode(state), type=FeatureState) == state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=FeatureState) == state
    assert len(msgspec.msgpack.encode(state)) < 330


@given(logs(), st.floats(-1e6, 1e6))
def test_every_number_is_finite_or_missing_where_that_is_allowed(events: list[CartEvent], wait: float) -> None:
    state, cart = fold(events)
    if cart is None:
        return
    for feature, number in zip(FEATURES, vector(state, cart, cart.last_activity + wait), strict=True):
        if math.isnan(number):
            assert feature.missing, feature.name
        else:
            assert 0 <= number < (len(feature.levels) or math.inf), feature.name


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
    assert all(feature.unit and feature.meaning for feature in FEATURES)
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


def test_every_feature_moves_in_the_probe_of_the_hash() -> None:
    columns = zip(FEATURES, zip(*probed(), strict=True), strict=True)
    assert [feature.name for feature, numbers in columns if len({repr(number) for number in numbers}) < 2] == []


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


@pytest.mark.parametrize("place", range(len(FEATURES)), ids=[feature.name for feature in FEATURES])
def test_the_hash_changes_when_one_feature_is_computed_otherwise(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    before = features.feature_hash()

    def otherwise(state: FeatureState, cart: Cart, now: float) -> tuple[float, ...]:
        row = list(vector(state, cart, now))
        row[place] *= 1.001
        row[place] += 0.001
        return tuple(row)

    monkeypatch.setattr(features, "vector", otherwise)
    assert features.feature_hash.__wrapped__() != before


def test_the_hash_changes_with_the_words_of_a_category(monkeypatch: pytest.MonkeyPatch) -> None:
    before = features.feature_hash()
    monkeypatch.setattr(industry, "STRONG", industry.STRONG | {"widget": "electronics"})
    assert features.feature_hash.__wrapped__() != before


def test_a_state_of_an_earlier_version_is_read_with_what_it_did_not_know_left_empty() -> None:
    known = {"began": 10.0, "last": 70.0, "events": 3, "views": 1, "viewed": [7], "visits": 1, "cart": 5, "carts": 2}
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=FeatureState)
    cart = Cart(cart_id="c", opened=40.0, last_activity=70.0)
    found = dict(zip((feature.name for feature in FEATURES), vector(state, cart, 100.0), strict=True))
    assert (found["cart_idle"], found["coupon_failures"], found["views_since_cart"]) == (60.0, 0.0, 0.0)
    assert math.isnan(found["days_since_cart"])
    assert math.isnan(found["traffic"])

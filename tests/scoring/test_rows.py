"""Training rows: where they are made, what they know, what their labels mean."""

import msgspec
import numpy as np
import pytest
from hypothesis import given

from ringback import cart as carts
from ringback.records import CartEvent, EventKind
from scoring.features import EMPTY, FEATURES, update, vector
from scoring.rows import Rows, TrainingError, prefix_rows
from scoring.split import split
from tests.scoring.events import Log, logs

HOUR = 3600.0
NAMES = [feature.name for feature in FEATURES]


def column(rows: Rows, name: str) -> list[float]:
    return list(rows.vectors[:, NAMES.index(name)])


def end(time: float) -> CartEvent:
    """Somebody else looks at something, which only makes the log longer."""
    return Log("eve").add(EventKind.PRODUCT_VIEWED, time, "z")


def test_a_row_at_each_change_and_one_when_due() -> None:
    log = Log()
    log.add(EventKind.PRODUCT_VIEWED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 60, "a")
    log.add(EventKind.PRODUCT_VIEWED, 120, "b")
    log.add(EventKind.ITEM_ADDED, 180, "b")
    log.add(EventKind.ORDER_COMPLETED, 3 * HOUR)
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=4 * HOUR)
    assert list(rows.times) == [60, 180, 180 + 1800]
    assert list(rows.due) == [False, False, True]
    assert list(rows.labels) == [True, True, True]
    assert column(rows, "pieces") == [1, 2, 2]
    assert column(rows, "idle") == [0, 0, 1800]
    assert column(rows, "views") == [1, 2, 2]


def test_an_event_at_the_very_moment_that_a_cart_is_due_keeps_it() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.PRODUCT_VIEWED, 1800, "a")
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR)
    assert list(rows.times[rows.due]) == [3600]


def test_a_cart_is_due_again_after_its_shopper_came_back() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.PRODUCT_VIEWED, 2 * HOUR, "a")
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR)
    assert list(rows.times[rows.due]) == [1800, 2 * HOUR + 1800]


def test_an_emptied_cart_makes_no_rows() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ITEM_REMOVED, 60, "a")
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR)
    assert list(rows.times) == [0]


@pytest.mark.parametrize(("ordered", "label"), [(60, False), (61, True), (60 + HOUR, True), (61 + HOUR, False)])
def test_the_label_is_an_order_strictly_after_and_within_the_horizon(ordered: float, label: bool) -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 60, "a")
    log.add(EventKind.ORDER_COMPLETED, ordered)
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR, gap=2 * HOUR)
    assert list(rows.labels) == [label]


def test_another_shoppers_order_is_no_label() -> None:
    ada, bob = Log("ada"), Log("bob")
    ada.add(EventKind.ITEM_ADDED, 0, "a")
    bob.add(EventKind.ORDER_COMPLETED, 60)
    rows = prefix_rows([*ada.events, *bob.events, end(9 * HOUR)], horizon=HOUR)
    assert not rows.labels.any()


def test_rows_whose_label_is_not_known_yet_are_left_out_unless_asked_for() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 2 * HOUR, "b")
    events = [*log.events, end(2 * HOUR + 600)]
    assert list(prefix_rows(events, horizon=HOUR).times) == [0, 1800]
    assert list(prefix_rows(events, horizon=HOUR, uncovered=True).times) == [0, 1800, 2 * HOUR]


def test_a_log_that_is_out_of_order_is_refused() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 60, "a")
    log.add(EventKind.ITEM_ADDED, 0, "b")
    with pytest.raises(TrainingError, match=r"event ada-1 of test is at 0\.000, after one at 60\.000: sort the log"):
        prefix_rows(log.events, horizon=HOUR)


def test_an_event_that_the_cart_refuses_is_counted_and_skipped() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 60, "b", currency="EUR")
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR)
    assert rows.refused == 1
    assert column(rows, "products") == [1, 1]


def test_an_empty_log_makes_no_rows() -> None:
    rows = prefix_rows([], horizon=HOUR)
    assert len(rows) == 0
    assert rows.vectors.shape == (0, len(FEATURES))


@given(logs(), logs())
def test_the_future_never_changes_what_a_row_knew(events: list[CartEvent], later: list[CartEvent]) -> None:
    last = max((event.time for event in events), default=0.0)
    goes_on = [msgspec.structs.replace(event, time=last + 1 + event.time) for event in later]
    alone = prefix_rows(events, horizon=HOUR, uncovered=True)
    longer = prefix_rows([*events, *goes_on], horizon=HOUR, uncovered=True)
    # An event at the very moment keeps a cart: of one that is due as the log ends only the future tells.
    known = (longer.times <= last) & ~(longer.due & (longer.times == last))
    np.testing.assert_array_equal(longer.times[known], alone.times)
    np.testing.assert_array_equal(longer.vectors[known], alone.vectors)


@given(logs())
def test_training_sees_what_serving_sees(events: list[CartEvent]) -> None:
    """Rows at changes are bit for bit what folding the events one at a time gives."""
    served = []
    state, cart = EMPTY, None
    accepted = [event for event in events if event.currency in (None, "USD")]
    for event in accepted:
        cart, state = carts.apply(cart, event), update(state, event)
        if cart is not None and cart.lines and event.kind in carts.FILLS | carts.CHECKOUT | {EventKind.ITEM_REMOVED}:
            served.append(vector(state, cart, event.time))
    rows = prefix_rows(accepted, horizon=HOUR, uncovered=True)
    np.testing.assert_array_equal(rows.vectors[~rows.due], np.array(served).reshape(-1, len(FEATURES)))


def test_a_forward_split_leaves_an_embargo_and_shares_no_row() -> None:
    rows = _many(shoppers=3000, hours=400)
    division = split(rows, horizon=HOUR)
    assert division.kind == "forward"
    assert division.boundary is not None
    assert rows.times[division.train | division.stop].max() + HOUR <= division.boundary
    assert rows.times[division.test].min() > division.boundary
    assert not (division.train & division.stop).any()
    assert not set(rows.shopper[division.train]) & set(rows.shopper[division.stop])


def test_a_short_log_is_split_by_shopper() -> None:
    rows = _many(shoppers=3000, hours=2)
    division = split(rows, horizon=24 * HOUR)
    assert division.kind == "by_shopper"
    parts = [set(rows.shopper[part]) for part in (division.train, division.stop, division.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 3000
    assert (division.train.astype(int) + division.stop + division.test == 1).all()


def _many(shoppers: int, hours: float) -> Rows:
    """Shoppers one after the other; every third buys."""
    events = []
    for number in range(shoppers):
        log = Log(f"shopper-{number}")
        start = number * hours * HOUR / shoppers
        log.add(EventKind.ITEM_ADDED, start, "a")
        if number % 3 == 0:
            log.add(EventKind.ORDER_COMPLETED, start + 0.001)
        events += log.events
    return prefix_rows(sorted(events, key=lambda event: event.time), horizon=HOUR, uncovered=True)

"""Training rows: where they are made, what they know, what their labels mean."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.cart import CHANGES, PASSIVE
from ringback.errors import BadEvent
from ringback.records import CartEvent, ContactKind, EventKind
from scoring.data.columns import Floats, Numbers, following, preceding
from scoring.data.rows import Rows, TrainingError, prefix_rows
from scoring.features import FEATURES, vector
from scoring.fold import Folded, advanced
from tests.scoring.decided import contact, decision
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


def test_an_event_at_the_very_moment_that_a_cart_is_due_comes_too_late() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.PRODUCT_VIEWED, 1800, "a")
    rows = prefix_rows([*log.events, end(9 * HOUR)], horizon=HOUR)
    assert list(rows.times[rows.due]) == [1800, 3600]
    assert column(rows, "views") == [0, 0, 1]


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
    known = longer.times <= last
    np.testing.assert_array_equal(longer.times[known], alone.times)
    np.testing.assert_array_equal(longer.vectors[known], alone.vectors)


@given(logs())
def test_training_sees_what_serving_sees(events: list[CartEvent]) -> None:
    """Rows at changes are bit for bit what folding the events one at a time gives."""
    wanted = []
    folded, seen = Folded(), set()
    for event in sorted(events, key=lambda one: (one.time, one.event_id, one.source)):
        if event.kind in PASSIVE or event.event_id in seen:
            continue
        seen.add(event.event_id)
        try:
            folded = advanced(folded, event)
        except BadEvent:
            continue
        if folded.cart is not None and folded.cart.lines and event.kind in CHANGES:
            wanted.append(vector(folded.features, folded.cart, event.time))
    lasting = [event for event in events if event.kind not in PASSIVE]
    rows = prefix_rows(lasting, horizon=HOUR, uncovered=True)
    np.testing.assert_array_equal(rows.vectors[~rows.due], np.array(wanted).reshape(-1, len(FEATURES)))


def test_an_order_that_is_told_of_twice_is_bought_once() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    order = msgspec.structs.replace(log.add(EventKind.ORDER_COMPLETED, 60), order_id="1")
    again = msgspec.structs.replace(order, event_id="again", time=4 * HOUR)
    added = log.add(EventKind.ITEM_ADDED, 3.5 * HOUR, "b")
    rows = prefix_rows([log.events[0], order, added, again, end(9 * HOUR)], horizon=HOUR)
    assert list(rows.times) == [0, 3.5 * HOUR, 4 * HOUR]
    assert list(rows.labels) == [True, False, False]


def test_a_repeated_event_counts_once() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 60, "a")
    again = msgspec.structs.replace(log.events[0], time=120.0)
    rows = prefix_rows([*log.events, again, end(9 * HOUR)], horizon=HOUR)
    assert column(rows, "pieces") == [1, 2, 2]
    assert rows.left_out["repeated events"] == 1


def test_who_was_silent_for_long_is_a_stranger_as_in_the_stream() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ORDER_COMPLETED, 60)
    log.add(EventKind.ITEM_ADDED, 31 * 24 * HOUR, "b")
    rows = prefix_rows([*log.events, end(40 * 24 * HOUR)], horizon=HOUR)
    assert column(rows, "past_purchases") == [0, 0, 0]
    remembered = prefix_rows([*log.events, end(40 * 24 * HOUR)], horizon=HOUR, forget_after=32 * 24 * HOUR)
    assert column(remembered, "past_purchases") == [0, 1, 1]


def test_the_same_whole_shoppers_are_left_out_of_a_log_that_is_too_long() -> None:
    log = _log(shoppers=400, hours=40)
    everything = prefix_rows(log, horizon=HOUR, uncovered=True)
    some = prefix_rows(log, horizon=HOUR, uncovered=True, most_rows=200)
    assert 100 < len(some) <= 200
    assert some.share == 0.25
    assert some.left_out["events of shoppers who are too many"] > 100
    kept = np.isin(everything.shopper, some.shopper)
    np.testing.assert_array_equal(everything.vectors[kept], some.vectors)
    np.testing.assert_array_equal(everything.labels[kept], some.labels)
    assert some.shoppers == len(set(some.shopper)) < everything.shoppers == 400


def test_rows_around_a_contact_are_left_out() -> None:
    log = Log()
    for hour in (0, 3, 5, 7):
        log.add(EventKind.ITEM_ADDED, hour * HOUR, f"{hour}")
    met = [contact("ada", ContactKind.ANSWERED, 5.5 * HOUR), contact("bob", ContactKind.ANSWERED, 0)]
    events = [*log.events, end(20 * HOUR)]
    rows = prefix_rows(events, horizon=HOUR, gap=20 * HOUR, contacts=met, uncovered=True)
    assert list(rows.times) == [0, 3 * HOUR, 7 * HOUR]
    assert rows.left_out == {"rows of contacted shoppers": 1}
    tried = prefix_rows(events, HOUR, 20 * HOUR, contacts=[contact("ada", ContactKind.ATTEMPTED, 5.5 * HOUR)])
    assert list(tried.times) == [0, 3 * HOUR, 5 * HOUR, 7 * HOUR]


def test_a_served_vector_takes_the_place_of_the_replayed_one() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    log.add(EventKind.ITEM_ADDED, 3 * HOUR, "b")
    events = [*log.events, end(9 * HOUR)]
    replayed = prefix_rows(events, horizon=HOUR)
    same, other = (tuple(row) for row in replayed.vectors[replayed.due])
    changed = (*other[:-1], 77.0)
    decisions = [
        decision("ada", 1800.0, same),
        decision("ada", 3 * HOUR + 1800, changed),
        decision("bob", 4 * HOUR, same),
        decision("eve", 5 * HOUR, same, feature_hash="of another version"),
    ]
    rows = prefix_rows(events, horizon=HOUR, decisions=decisions, contacts=[])
    assert (rows.served, rows.differing) == (3, 1)
    assert rows.left_out == {"decisions of other features": 1}
    assert list(rows.times[rows.due]) == [1800, 3 * HOUR + 1800, 4 * HOUR]
    np.testing.assert_array_equal(rows.vectors[rows.due], np.array([same, changed, same]))


def test_decisions_to_contact_somebody_need_the_contacts() -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    with pytest.raises(TrainingError, match="but not the contacts"):
        prefix_rows([*log.events, end(HOUR)], HOUR, decisions=[decision("ada", 1800.0, (0.0,) * len(FEATURES))])


def test_two_shoppers_who_are_one() -> None:
    """What one half bought is the other's label; where both had a past, only served vectors make rows."""
    left, right = Log("left"), Log("right")
    left.add(EventKind.ITEM_ADDED, 0, "a")
    right.add(EventKind.PRODUCT_VIEWED, 1, "b")
    joined = [left.add(EventKind.ABSORBED, 10), right.add(EventKind.MOVED, 10)]
    joined = [
        msgspec.structs.replace(event, other=other) for event, other in zip(joined, ("right", "left"), strict=True)
    ]
    right.add(EventKind.ITEM_ADDED, 20, "b")
    right.add(EventKind.ORDER_COMPLETED, 30)
    events = [left.events[0], right.events[0], *joined, *right.events[2:], end(9 * HOUR)]
    rows = prefix_rows(events, horizon=HOUR)
    assert list(rows.times) == [0]
    assert list(rows.labels) == [True]
    assert rows.left_out == {"rows of joined shoppers": 1}


def test_a_shopper_without_a_past_who_is_another_one_changes_nothing() -> None:
    left, right = Log("left"), Log("right")
    left.add(EventKind.ITEM_ADDED, 0, "a")
    moved = msgspec.structs.replace(right.add(EventKind.MOVED, 10), other="left")
    right.add(EventKind.ITEM_ADDED, 20, "b")
    rows = prefix_rows([left.events[0], moved, right.events[1], end(9 * HOUR)], horizon=HOUR)
    assert column(rows, "products") == [1, 2, 2]
    assert len(set(rows.shopper)) == 1


moments = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=12)


@given(moments, moments)
def test_who_did_something_next_and_last(asked: list[tuple[int, int]], done: list[tuple[int, int]]) -> None:
    def columns(given_: list[tuple[int, int]]) -> tuple[Numbers, Floats]:
        return np.array([one for one, _ in given_], np.int64), np.array([at for _, at in given_], np.float64)

    after = [min((at for one, at in done if one == who and at > time), default=np.inf) for who, time in asked]
    before = [max((at for one, at in done if one == who and at <= time), default=-np.inf) for who, time in asked]
    assert list(following(*columns(asked), columns(done))) == after
    assert list(preceding(*columns(asked), columns(done))) == before


def _log(shoppers: int, hours: float) -> list[CartEvent]:
    """Shoppers one after the other; every third buys."""
    events = []
    for number in range(shoppers):
        log = Log(f"shopper-{number}")
        start = number * hours * HOUR / shoppers
        log.add(EventKind.ITEM_ADDED, start, "a")
        if number % 3 == 0:
            log.add(EventKind.ORDER_COMPLETED, start + 0.001)
        events += log.events
    return sorted(events, key=lambda event: event.time)

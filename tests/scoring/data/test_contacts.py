"""The uplift set: who counts, in which arm, and what became of them."""

import msgspec
import numpy as np

from ringback.decisions import Decision, Worth
from ringback.records import Channel, ContactKind, Conversion, EventKind
from scoring.data.contacts import UpliftRows, uplift_rows
from scoring.features import FEATURES
from tests.scoring.decided import contact, decision
from tests.scoring.events import Log

HOUR = 3600.0
ROW = tuple(float(number) for number in range(len(FEATURES)))


def rows_of(*decisions: Decision) -> UpliftRows:
    """With an order of ada's at 2 h, one of bob's at 9 h, and a log that ends at 20 h."""
    ada, bob, eve = Log("ada"), Log("bob"), Log("eve")
    ada.add(EventKind.ORDER_COMPLETED, 2 * HOUR, "a", price=1500)
    bob.add(EventKind.ORDER_COMPLETED, 9 * HOUR, "a", price=700)
    eve.add(EventKind.PRODUCT_VIEWED, 20 * HOUR, "a")
    met = [contact("ada", ContactKind.ANSWERED, 1.5 * HOUR, lead_id="ada-3600")]
    return uplift_rows(decisions, met, [*ada.events, *bob.events, *eve.events], horizon=4 * HOUR)


def test_both_arms_and_what_became_of_them() -> None:
    rows = rows_of(decision("bob", HOUR, ROW, arm="holdout"), decision("ada", HOUR, ROW), decision("cy", HOUR, ROW))
    assert list(rows.treated) == [True, False, True]
    assert list(rows.labels) == [True, False, False]
    assert list(rows.reached) == [True, False, False]
    assert list(rows.values) == [1500, 0, 0]
    assert rows.channels == ("voice", "", "voice")
    assert rows.vectors.tolist() == [list(ROW)] * 3
    assert len(set(rows.groups)) == 3
    assert rows.left_out == {}


def test_an_order_before_or_after_the_horizon_is_none_of_it() -> None:
    rows = rows_of(decision("ada", 2 * HOUR, ROW), decision("bob", 5 * HOUR, ROW), decision("bob", HOUR - 1, ROW))
    assert dict(zip(rows.times, rows.labels, strict=True)) == {HOUR - 1: False, 2 * HOUR: False, 5 * HOUR: True}


def test_what_counts_not() -> None:
    rows = rows_of(
        decision("ada", HOUR, ROW),
        decision("ada", HOUR, ROW),
        decision("ada", 3 * HOUR, ROW),
        decision("bob", HOUR, ROW, arm="ineligible"),
        decision("bob", HOUR + 1, ROW, replay=True),
        decision("bob", HOUR + 2, ROW, feature_hash="older"),
        decision("bob", HOUR + 3, ROW[:3]),
        decision("bob", 17 * HOUR, ROW),
    )
    assert list(rows.times) == [HOUR]
    assert rows.left_out == {
        "nobody could be contacted": 1,
        "of a played log": 1,
        "of other features": 2,
        "within a horizon of another one": 1,
        "their horizon is not over": 1,
    }


def test_conversions_tell_of_orders_when_the_events_are_gone() -> None:
    def won(value: int) -> Conversion:
        return Conversion(
            order_id="7",
            shopper_id="ada, as she is known now",
            cart_id="1",
            decision_id="ada-3600",
            arm="holdout",
            channel=None,
            contact_id=None,
            value=value,
            currency="USD",
            ordered=2 * HOUR,
            decided=HOUR,
            window=72 * HOUR,
        )

    late = decision("bob", 9 * HOUR, ROW)
    rows = uplift_rows([decision("ada", HOUR, ROW, arm="holdout"), late], [], [won(900), won(400)], horizon=4 * HOUR)
    assert (list(rows.labels), list(rows.values)) == ([True], [400])


def test_what_a_shopper_buys_under_another_id_counts() -> None:
    left, right = Log("left"), Log("right")
    moved = msgspec.structs.replace(right.add(EventKind.MOVED, 1.2 * HOUR), other="left")
    left.add(EventKind.ORDER_COMPLETED, 2 * HOUR, "a")
    left.add(EventKind.PRODUCT_VIEWED, 20 * HOUR, "a")
    rows = uplift_rows([decision("right", HOUR, ROW)], [], [moved, *left.events], horizon=4 * HOUR)
    assert list(rows.labels) == [True]


def test_the_holdouts_channel_is_the_one_that_would_have_been() -> None:
    def worth(channel: Channel, value: int) -> Worth:
        return Worth(
            channel=channel,
            at=HOUR,
            lift=0.1,
            lift_source="prior",
            margin=1500,
            answer=0.5,
            cost=10,
            value=value,
            handling=60.0,
            per_minute=value if channel is Channel.VOICE else None,
            threshold=50,
        )

    spared = msgspec.structs.replace(
        decision("ada", HOUR, ROW, arm="holdout"), worth=(worth(Channel.VOICE, 20), worth(Channel.SMS, 60))
    )
    rows = rows_of(spared)
    assert rows.channels == ("sms",)
    np.testing.assert_array_equal(rows.margins, [1500])


def test_without_decisions_there_are_no_rows() -> None:
    rows = rows_of()
    assert len(rows) == 0
    assert rows.vectors.shape == (0, len(FEATURES))

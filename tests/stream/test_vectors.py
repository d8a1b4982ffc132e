"""What the model sees in the stream is what it was trained on, bit for bit, and nothing of what comes later."""

from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.cart import CHANGES
from ringback.clock import Clock
from ringback.decisions import Decision
from ringback.records import INTERNAL_KINDS, CartEvent, DeadLetterReason, EventKind, Item, encode
from scoring.data.replay import FORGET_AFTER_SECONDS, number_of, served
from scoring.data.rows import prefix_rows
from scoring.features import DAY, FEATURES, feature_hash
from stream.partition import Partition
from tests.stream import shop
from tests.stream.shop import NOON, Even, HeldStates, added, event, feed, held, partition

ABANDON_AFTER = 1800.0
LATENESS = 60.0
LONG_AFTER = 400 * DAY
NEAR = (0.0, 0.25, 20.0, 600.0)
APART = (ABANDON_AFTER - 1, ABANDON_AFTER, ABANDON_AFTER + 1, 5000.0, DAY, FORGET_AFTER_SECONDS - 1, 31 * DAY)
# Messages that overtake each other by less than `LATENESS` never overtake a decision, nor twelve others.
NEVER_OVERTAKE = (10.0, 25.0, 600.0, ABANDON_AFTER - LATENESS - 1, ABANDON_AFTER + LATENESS + 1, 5000.0, DAY)

Row = tuple[float, int, bool, str]


class Recorder(Even):
    """A model that keeps the last row that it was asked for."""

    row: Sequence[float] = ()

    def score(self, row: Sequence[float]) -> float:
        self.row = row
        return super().score(row)


goods = st.builds(
    Item,
    product_id=st.sampled_from("abc"),
    quantity=st.integers(1, 3),
    unit_price=st.sampled_from((0, 4000, 9999)),
    category=st.sampled_from((None, "shoes", "electronics.audio", "2053")),
)


@st.composite
def logs(
    draw: st.DrawFn, kinds: Sequence[EventKind], gaps: Sequence[float], shoppers: str = "aab", most: int = 20
) -> list[CartEvent]:
    """What some shoppers do, in order of time; many kinds of events are about a cart."""
    often = (EventKind.PRODUCT_VIEWED, EventKind.ITEM_ADDED, EventKind.ITEM_ADDED, EventKind.CART_SNAPSHOT)
    at = dict.fromkeys(shoppers, 0.0)
    log = []
    for number in range(draw(st.integers(1, most))):
        shopper_id = draw(st.sampled_from(shoppers))
        at[shopper_id] += draw(st.sampled_from(gaps))
        kind = draw(st.sampled_from(often) | st.sampled_from(kinds))
        order_id = draw(st.sampled_from((None, "o1", "o2")))
        log.append(
            event(
                kind,
                at[shopper_id],
                shopper_id,
                event_id=f"e{number:03}",
                items=tuple(draw(st.lists(goods, max_size=3))),
                currency=draw(st.sampled_from(("USD", "USD", "USD", "EUR"))),
                cart_id=draw(st.sampled_from((None, "c1", "c2"))),
                session_id=draw(st.sampled_from((None, "v1", "v2"))),
                order_id=order_id or ("o3" if kind in RETURNS else None),
                step=draw(st.sampled_from((None, 1, 3))),
                traffic=draw(st.sampled_from((None, "newsletter", "google / cpc", "elsewhere"))),
            )
        )
    return sorted(log, key=lambda one: (one.time, one.event_id))


# An event that names no order is a dead letter, and in no log.
RETURNS = (EventKind.ORDER_CANCELLED, EventKind.ORDER_REFUNDED)
OF_SHOPS = [kind for kind in EventKind if kind not in INTERNAL_KINDS]
UNORDERED = [kind for kind in OF_SHOPS if kind not in shop.UNORDERED]


def streamed(log: Sequence[CartEvent]) -> tuple[list[Row], list[Decision]]:
    """The rows at changes and at abandonment as the stream has them, and its decisions up to the end of the log."""
    model = Recorder()
    part = Partition(0, shop.settings(), Clock(), model, HeldStates())
    rows: list[Row] = []
    for offset, one in enumerate(log):
        key = one.shopper_id.encode()
        if part.records(key, encode(one), offset, one.time) and one.kind in CHANGES:
            cart = held(part)[key].cart
            assert cart is not None
            if cart.lines:
                rows.append((one.time, number_of(one.shopper_id), False, exact(model.row)))
    effects = part.take_effects()
    assert DeadLetterReason.UNEXPECTED not in {letter.reason for letter in effects.dead_letters}
    decisions = effects.decisions
    rows += [(made.time, number_of(made.shopper_id), True, exact(served(made))) for made in decisions]
    return sorted(rows), decisions


def replayed(log: Sequence[CartEvent]) -> list[Row]:
    """The rows that training makes of the log."""
    rows = prefix_rows(log, horizon=1.0, uncovered=True)
    columns = (rows.times, rows.shopper, rows.due, rows.vectors)
    return sorted(
        (float(time), int(number), bool(due), exact(row.tolist()))
        for time, number, due, row in zip(*columns, strict=True)
    )


def exact(row: Sequence[float]) -> str:
    """All bits of a row that has no two kinds of NaN."""
    assert len(row) == len(FEATURES)
    return " ".join(number.hex() for number in row)


@settings(max_examples=150, deadline=None)
@given(logs(OF_SHOPS, (*NEAR, *APART)))
def test_training_sees_what_the_stream_saw(log: list[CartEvent]) -> None:
    rows, decisions = streamed(log)
    assert replayed(log) == rows
    assert {decision.feature_hash for decision in decisions} <= {feature_hash()}


@settings(max_examples=60, deadline=None)
@given(logs(OF_SHOPS, (*NEAR, *APART)), logs(OF_SHOPS, (*NEAR, *APART)), st.sampled_from((0.5, 60.0, 3 * DAY)))
def test_what_comes_later_never_changes_a_vector(log: list[CartEvent], later: list[CartEvent], pause: float) -> None:
    end = log[-1].time
    goes_on = [
        msgspec.structs.replace(one, event_id=f"f{one.event_id}", time=end + pause + one.time - NOON) for one in later
    ]
    for rows_of in (replayed, lambda events: streamed(events)[0]):
        assert [row for row in rows_of([*log, *goes_on]) if row[0] <= end] == rows_of(log)


@settings(max_examples=150, deadline=None)
@given(logs(UNORDERED, NEVER_OVERTAKE), st.data())
def test_repetition_and_late_arrival_give_the_vectors_of_the_clean_log(
    log: list[CartEvent], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(log), max_size=10), label="repeated")
    delay = st.floats(0.0, LATENESS - 1)
    arrivals = [(one.time + data.draw(delay), one) for one in [*log, *again]]
    arrivals.sort(key=lambda arrival: arrival[0])

    clean, other = (partition(shop.settings(stream__lateness=LATENESS)) for _ in range(2))
    feed(clean, log)
    for offset, (arrived, one) in enumerate(arrivals):
        other.records(one.shopper_id.encode(), encode(one), offset, arrived)
    assert known_at_decisions(other) == known_at_decisions(clean)


def known_at_decisions(part: Partition) -> list[tuple[float, str, str, str]]:
    part.tick(NOON + LONG_AFTER)
    made = part.take_effects().decisions
    return sorted((one.time, one.shopper_id, one.cart_id, exact(served(one))) for one in made)


def test_a_decision_says_by_which_definition_its_features_are_computed() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + LONG_AFTER)
    (decision,) = part.take_effects().decisions
    assert decision.feature_hash == feature_hash()
    assert len(decision.features) == len(FEATURES)

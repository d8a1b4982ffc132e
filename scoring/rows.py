"""Training rows from a log of events: the same replay that the stream does, with the future as the label.

A row is made where the stream scores: at each change of a cart, and when the cart becomes due. Its vector knows the
events up to that moment; its label is whether the same shopper bought strictly after it, within the horizon.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ringback import cart as carts
from ringback.cart import Cart
from ringback.errors import BadEvent, RingbackError
from ringback.records import CartEvent, EventKind, encode
from scoring.features import EMPTY, FEATURES, VISIT_GAP_SECONDS, FeatureState, update, vector

CHANGES = carts.FILLS | carts.CHECKOUT | {EventKind.ITEM_REMOVED}
PROGRESS_EVERY = 10_000


class TrainingError(RingbackError):
    """A log can't be trained on; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order of time; all arrays are as long as there are rows.

    ``shopper`` numbers the shoppers; ``group`` is a stable hash of the shopper's id, in [0, 1), by which splits keep a
    shopper's rows together; ``due`` marks rows at abandonment. ``first`` and ``last`` are the times of the log's ends.
    """

    vectors: NDArray[np.float64]
    labels: NDArray[np.bool_]
    times: NDArray[np.float64]
    due: NDArray[np.bool_]
    shopper: NDArray[np.int64]
    group: NDArray[np.float64]
    sha256: str
    events: int
    refused: int
    shoppers: int
    first: float
    last: float

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(slots=True)
class _Shopper:
    number: int
    group: float
    state: FeatureState = EMPTY
    cart: Cart | None = None
    judged: bool = False
    orders: list[float] = field(default_factory=list)


class _Collector:
    """Rows without their labels, which only the rest of the log can tell."""

    def __init__(self) -> None:
        self.vectors: list[tuple[float, ...]] = []
        self.times: list[float] = []
        self.due: list[bool] = []
        self.shopper: list[int] = []

    def add(self, shopper: _Shopper, cart: Cart, now: float, *, due: bool) -> None:
        self.vectors.append(vector(shopper.state, cart, now))
        self.times.append(now)
        self.due.append(due)
        self.shopper.append(shopper.number)


def prefix_rows(
    events: Iterable[CartEvent],
    horizon: float,
    gap: float = VISIT_GAP_SECONDS,
    *,
    uncovered: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Rows:
    """Replay a log, in order of time, into rows.

    ``horizon`` and ``gap`` (without activity until a cart is due) are seconds. Rows whose horizon reaches beyond the
    log's end are left out, as nobody knows their label. ``uncovered=True`` keeps them, for logs shorter than a few
    horizons: "bought before the log ended" is then all that a negative label denies, and base rate and scores come out
    too low. An event that the cart refuses (`BadEvent`) is counted and skipped, as the stream would. ``progress`` is
    told the number of events read, now and then.

    Raises `TrainingError` where the events are not in order of time, naming the first one that is not.
    """
    digest = hashlib.sha256()
    shoppers: dict[str, _Shopper] = {}
    rows = _Collector()
    count = refused = 0
    first, last = 0.0, float("-inf")
    for event in events:
        if event.time < last:
            raise TrainingError(
                f"event {event.event_id} of {event.source} is at {event.time:.3f}, after one at {last:.3f}: "
                "sort the log by time first"
            )
        first, last = (first if count else event.time), event.time
        count += 1
        digest.update(encode(event))
        if progress is not None and count % PROGRESS_EVERY == 0:
            progress(count)
        shopper = shoppers.get(event.shopper_id)
        if shopper is None:
            shopper = shoppers[event.shopper_id] = _Shopper(len(shoppers), _group(event.shopper_id))
        _judge(rows, shopper, event.time, gap)
        try:
            _follow(rows, shopper, event)
        except BadEvent:
            refused += 1
    for shopper in shoppers.values():
        _judge(rows, shopper, last, gap)
    return _labelled(
        rows, list(shoppers.values()), digest.hexdigest(), (count, refused), (first, last), horizon, uncovered=uncovered
    )


def _group(shopper_id: str) -> float:
    return int.from_bytes(hashlib.blake2b(shopper_id.encode(), digest_size=4).digest()) / 2**32


def _judge(rows: _Collector, shopper: _Shopper, time: float, gap: float) -> None:
    cart = shopper.cart
    if cart is None or shopper.judged or not cart.last_activity + gap < time:
        return
    shopper.judged = True
    if cart.lines:
        rows.add(shopper, cart, cart.last_activity + gap, due=True)


def _follow(rows: _Collector, shopper: _Shopper, event: CartEvent) -> None:
    shopper.cart = carts.apply(shopper.cart, event)
    shopper.state = update(shopper.state, event)
    shopper.judged = shopper.judged and event.kind in carts.PASSIVE
    if event.kind is EventKind.ORDER_COMPLETED:
        shopper.orders.append(event.time)
    if shopper.cart is not None and shopper.cart.lines and event.kind in CHANGES:
        rows.add(shopper, shopper.cart, event.time, due=False)


def _labelled(
    rows: _Collector,
    shoppers: list[_Shopper],
    digest: str,
    counts: tuple[int, int],
    ends: tuple[float, float],
    horizon: float,
    *,
    uncovered: bool,
) -> Rows:
    times = np.array(rows.times, dtype=np.float64)
    known = np.ones(len(times), dtype=np.bool_) if uncovered else times + horizon <= ends[1]
    order = np.argsort(times, kind="stable")
    order = order[known[order]]
    labels = np.array([_bought(shoppers[rows.shopper[row]].orders, rows.times[row], horizon) for row in order])
    number = np.array(rows.shopper, dtype=np.int64)[order]
    groups = np.array([shopper.group for shopper in shoppers])
    return Rows(
        vectors=np.array(rows.vectors, dtype=np.float64).reshape(-1, len(FEATURES))[order],
        labels=labels.astype(np.bool_),
        times=times[order],
        due=np.array(rows.due, dtype=np.bool_)[order],
        shopper=number,
        group=groups[number] if len(number) else np.empty(0),
        sha256=digest,
        events=counts[0],
        refused=counts[1],
        shoppers=len(shoppers),
        first=ends[0],
        last=ends[1],
    )


def _bought(orders: list[float], time: float, horizon: float) -> bool:
    place = bisect_right(orders, time)
    return place < len(orders) and orders[place] <= time + horizon

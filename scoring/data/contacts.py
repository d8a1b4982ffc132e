"""Who was reached by a call or a message, and what became of those who were to be, and of those who were not.

An uplift model learns from decisions: shoppers of the arm ``treated`` against those of the ``holdout``, who would have
been contacted too and were not, by a draw of their ids. All of an arm count, whether they were reached or not
(intention to treat): who answers the telephone is no random sample.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.decisions import Decision, Route
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, Conversion, EventKind
from scoring.data.columns import FOR_EVER, NEVER, Moments
from scoring.data.replay import number_of, served
from scoring.features import FEATURES, feature_hash

REACHED = frozenset({ContactKind.ANSWERED, ContactKind.CONNECTED, ContactKind.SENT, ContactKind.DELIVERED})


def reached(contacts: Iterable[ContactEvent]) -> Moments:
    """When shoppers were reached, by their numbers."""
    moments = Moments()
    for contact in contacts:
        if contact.kind in REACHED:
            moments.add(number_of(contact.shopper_id), contact.time)
    return moments


@dataclass(frozen=True, slots=True)
class UpliftRows:
    """Decisions by which shoppers could be contacted, in order of time; all arrays are as long as there are rows.

    ``vectors`` are those that were served. ``treated`` tells the arm, ``reached`` who of it was really reached in time.
    ``labels``: bought strictly after the decision and within the horizon; ``values`` is what those orders came to,
    minor units of ``currencies``, and ``margins`` what the cart's margin was taken for when it was decided on.
    ``channels`` are what was decided, or would have been for the holdout; empty where that is not known. ``groups``
    tell shoppers apart. ``left_out`` counts, by reason, decisions that make no row.
    """

    vectors: NDArray[np.float64]
    treated: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    groups: NDArray[np.int64]
    times: NDArray[np.float64]
    reached: NDArray[np.bool_]
    values: NDArray[np.float64]
    margins: NDArray[np.float64]
    channels: tuple[str, ...]
    currencies: tuple[str, ...]
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.labels)


def uplift_rows(
    decisions: Iterable[Decision],
    contacts: Iterable[ContactEvent],
    orders: Iterable[CartEvent | Conversion],
    horizon: float,
) -> UpliftRows:
    """What became of the treated and of the holdout within ``horizon`` seconds after a decision.

    ``orders`` are a log's cart events, its conversions, or both; an order that was told of more than once counts once,
    as it was told last. Of a shopper's decisions one horizon is left between those that count, in both arms alike: who
    was contacted is not decided on again for some time, and who was not may be.

    Left out are decisions of played logs, on which nobody is ever contacted, those with vectors of other features, and
    those whose horizon is not over at the last moment that the log tells of.
    """
    left_out: Counter[str] = Counter()
    wanted = {one.decision_id: one for one in decisions if _counts(one, left_out)}
    bought = _Bought(wanted)
    for order in orders:
        bought.take(order)
    reach: dict[str, float] = {}
    end = bought.end
    for contact in contacts:
        end = max(end, contact.time)
        if contact.kind in REACHED:
            reach[contact.lead_id] = min(contact.time, reach.get(contact.lead_id, contact.time))
    in_time = sorted(wanted.values(), key=lambda one: (one.time, one.decision_id))
    end = max(end, in_time[-1].time) if in_time else end
    rows: list[Decision] = []
    last: dict[str, float] = {}
    for decision in in_time:
        if decision.time + horizon > end:
            left_out["their horizon is not over"] += 1
        elif decision.time < last.get(decision.shopper_id, NEVER) + horizon:
            left_out["within a horizon of another one"] += 1
        else:
            last[decision.shopper_id] = decision.time
            rows.append(decision)
    values = [bought.within(one.shopper_id, one.time, horizon) for one in rows]
    return UpliftRows(
        vectors=np.array([served(one) for one in rows], dtype=np.float64).reshape(-1, len(FEATURES)),
        treated=np.array([one.arm == "treated" for one in rows], dtype=np.bool_),
        labels=np.array([value is not None for value in values], dtype=np.bool_),
        groups=np.array([number_of(one.shopper_id) for one in rows], dtype=np.int64),
        times=np.array([one.time for one in rows], dtype=np.float64),
        reached=np.array([reach.get(one.decision_id, FOR_EVER) <= one.time + horizon for one in rows], dtype=np.bool_),
        values=np.array([value or 0 for value in values], dtype=np.float64),
        margins=np.array([one.worth[0].margin if one.worth else np.nan for one in rows], dtype=np.float64),
        channels=tuple(_channel(one) for one in rows),
        currencies=tuple(one.currency for one in rows),
        left_out=dict(left_out),
    )


def _counts(decision: Decision, left_out: Counter[str]) -> bool:
    reason = None
    if decision.replay:
        reason = "of a played log"
    elif decision.arm == "ineligible":
        reason = "nobody could be contacted"
    elif decision.feature_hash != feature_hash() or len(decision.features) != len(FEATURES):
        reason = "of other features"
    if reason is not None:
        left_out[reason] += 1
    return reason is None


def _channel(decision: Decision) -> str:
    if decision.route is not Route.HOLDOUT:
        return decision.route.value
    for worth in decision.worth:
        rank = worth.per_minute if worth.channel is Channel.VOICE else worth.value
        if rank is not None and rank >= worth.threshold:
            return worth.channel.value
    return ""


class _Bought:
    """What the shoppers of these decisions ordered: when each order was first told of, and its worth at last.

    ``end`` is the last moment that was told of.
    """

    def __init__(self, decisions: Mapping[str, Decision]) -> None:
        self.end = NEVER
        self._decisions = decisions
        self._orders: dict[str, dict[str, tuple[float, int]]] = {one.shopper_id: {} for one in decisions.values()}
        self._moved: dict[str, str] = {}

    def take(self, order: CartEvent | Conversion) -> None:
        if isinstance(order, Conversion):
            decision = self._decisions.get(order.decision_id)
            shopper_id = order.shopper_id if decision is None else decision.shopper_id
            self._take(shopper_id, order.order_id, order.ordered, order.value)
            return
        self.end = max(self.end, order.time)
        if order.kind is EventKind.ORDER_COMPLETED:
            self._take(order.shopper_id, order.order_id or order.event_id, order.time, _total(order))
        elif order.kind is EventKind.MOVED and order.other is not None and order.shopper_id in self._orders:
            self._moved[order.shopper_id] = order.other
            self._orders.setdefault(order.other, {})

    def _take(self, shopper_id: str, order_id: str, time: float, value: int) -> None:
        self.end = max(self.end, time)
        known = self._orders.get(shopper_id)
        if known is not None:
            known[order_id] = (min(time, known.get(order_id, (time, 0))[0]), value)

    def within(self, shopper_id: str, time: float, horizon: float) -> int | None:
        """What a shopper's orders came to in the horizon after a moment; None without any."""
        found: dict[str, int] = {}
        known: str | None = shopper_id
        passed = set[str]()
        while known is not None and known not in passed:
            passed.add(known)
            for name, (ordered, value) in self._orders.get(known, {}).items():
                if time < ordered <= time + horizon:
                    found[name] = value
            known = self._moved.get(known)
        return sum(found.values()) if found else None


def _total(order: CartEvent) -> int:
    return order.value if order.value is not None else sum(item.unit_price * item.quantity for item in order.items)

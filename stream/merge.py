"""What is known of a shopper when two turn out to be one. Pure.

The rule, for the halves `winner` (whose id stays) and `loser`:

- The last events of both (`stream.history`) are told anew together, in the order of their own time, as if all had come
  under one id: it makes no difference when it became known that the two are one. The rules below are for what came
  before those events, or before a decision.
- The two halves' carts. Of the same cart id, the newest full state holds, unless the other half changed the cart after
  it; else, and for two different carts, the lines are united, and a product that both hold has the line of the half
  with the later activity. The cart has the id of that half, was opened when the older was, and is judged if that half
  was. Where their currencies differ that half's cart stays alone, and the other is given up. What either half did
  since is activity, and may show that the shopper came back.
- A purchase wins: a cart that one half bought, or that was last touched before the other half's order, is bought.
- Visits, carts and purchases add up. The visit is the later one; two that leave no gap between them are one.
- Decision and contact are the later ones; orders and conversions are those of both; who opted out once has opted out;
  of name, number and consent the newer of each holds.

Ids only ever become smaller (the shopper with the smaller id wins), so that forwarding comes to an end.
"""

import msgspec

from ringback.cart import Cart
from ringback.records import Item
from scoring.features import REMEMBERED_VIEWS, VISIT_GAP_SECONDS, FeatureState
from scoring.fold import REMEMBERED_CARTS, REMEMBERED_ORDERS, Folded, Order, waiting_since
from stream import details, history
from stream.carts import FINGERPRINT_BYTES, NEVER, REMEMBERED_EVENTS, Returned, ShopperState

REMEMBERED_IDS = 32
REMEMBERED_RETURNS = 8


def merged(winner: ShopperState, loser: ShopperState) -> ShopperState:
    """The state of two shoppers who are one; what was applied last (offsets) is the winner's."""
    ours, theirs = (half.history.base or half.history.head for half in (winner, loser))
    both = history.united(winner.history, loser.history, _folded(ours, theirs))
    past = both.head
    later = max(winner, loser, key=_activity)
    newest = max(winner, loser, key=lambda state: state.last_time)
    judged = None if past.cart is None else later.judged
    known = [state.details for state in (winner, loser) if state.details is not None]
    decided = [state.decided for state in (loser, winner) if state.decided is not None]
    reached = [state.reached for state in (loser, winner) if state.reached is not None]
    conversions = {made.order_id: made for half in (loser, winner) for made in half.conversions}
    return ShopperState(
        waiting_since=waiting_since(past.cart, judged),
        last_time=newest.last_time,
        lag=newest.lag,
        offset=winner.offset,
        index=winner.index,
        contact_offset=winner.contact_offset,
        judged=judged,
        replay=newest.replay,
        opted_out=winner.opted_out or loser.opted_out,
        seen=(loser.seen + winner.seen)[-2 * REMEMBERED_EVENTS * FINGERPRINT_BYTES :],
        history=both,
        details=details.united(*known) if len(known) > 1 else next(iter(known), None),
        decided=max(decided, key=lambda one: one.time, default=None),
        reached=max(reached, key=lambda one: one.time, default=None),
        returned=_returned(winner.returned, loser.returned),
        conversions=tuple(conversions.values())[-REMEMBERED_ORDERS:],
        erased=winner.erased,
        moved_to=winner.moved_to,
        aliases=united_ids(winner.aliases, loser.aliases),
        joined=united_ids(winner.joined, loser.joined),
    )


def given_up(both: ShopperState, winner: ShopperState, loser: ShopperState) -> Cart | None:
    """The cart that a merge gave up, because the other half's has another currency."""
    carts = [half.cart for half in (loser, winner) if half.cart is not None]
    return next((cart for cart in carts if both.cart is not None and not _agree(both.cart, cart)), None)


def united_ids(*groups: tuple[str, ...]) -> tuple[str, ...]:
    """All the ids, each once, the last of them when there are too many."""
    return tuple(dict.fromkeys(one for group in groups for one in group))[-REMEMBERED_IDS:]


def _activity(state: ShopperState) -> float:
    return NEVER if state.cart is None else state.cart.last_activity


def _folded(ours: Folded, theirs: Folded) -> Folded:
    orders: dict[str, Order] = {}
    for order in (*ours.orders, *theirs.orders):
        known = orders.get(order.order_id)
        orders[order.order_id] = order if known is None else _same_order(known, order)
    bought = tuple(dict.fromkeys((*theirs.bought_carts, *ours.bought_carts)))
    carts = [
        cart
        for cart, other in ((ours.cart, theirs), (theirs.cart, ours))
        if cart is not None and not _is_bought(cart, other)
    ]
    cart = united_cart(*carts) if len(carts) > 1 else next(iter(carts), None)
    both = _features(ours.features, theirs.features)
    if cart is not None and both.visits and both.last > cart.last_activity:
        cart = msgspec.structs.replace(cart, last_activity=both.last)
    return Folded(
        features=both,
        cart=cart,
        orders=tuple(sorted(orders.values(), key=lambda order: (order.time, order.order_id)))[-REMEMBERED_ORDERS:],
        bought_carts=bought[-REMEMBERED_CARTS:],
    )


def _is_bought(cart: Cart, other: Folded) -> bool:
    return cart.cart_id in other.bought_carts or any(order.time >= cart.last_activity for order in other.orders)


def _same_order(one: Order, other: Order) -> Order:
    newest = max(one, other, key=lambda order: order.version)
    return msgspec.structs.replace(newest, time=min(one.time, other.time))


def _agree(one: Cart, other: Cart) -> bool:
    return one.currency is None or other.currency is None or one.currency == other.currency


def united_cart(winner: Cart, loser: Cart) -> Cart:
    """The cart of two halves that were not bought."""
    later, earlier = (winner, loser) if winner.last_activity >= loser.last_activity else (loser, winner)
    if not _agree(later, earlier):
        return later
    return Cart(
        cart_id=later.cart_id,
        opened=min(later.opened, earlier.opened),
        last_activity=later.last_activity,
        currency=later.currency or earlier.currency,
        lines=_lines(later, earlier),
        snapshot=max(later.snapshot, earlier.snapshot),
        step=max(later.step, earlier.step),
        removals=later.removals + earlier.removals,
        payment_failures=later.payment_failures + earlier.payment_failures,
        coupon_failures=later.coupon_failures + earlier.coupon_failures,
    )


def _lines(later: Cart, earlier: Cart) -> tuple[Item, ...]:
    if later.cart_id == earlier.cart_id:
        if later.snapshot >= earlier.last_activity:
            return later.lines
        if earlier.snapshot >= later.last_activity:
            return earlier.lines
    by_product = {line.product_id: line for line in earlier.lines}
    by_product.update((line.product_id, line) for line in later.lines)
    return tuple(by_product.values())


def _features(one: FeatureState, other: FeatureState) -> FeatureState:
    later, earlier = (one, other) if (one.last, one.began) >= (other.last, other.began) else (other, one)
    if not earlier.visits or not later.visits:
        visited = later if later.visits else earlier
        return _with_counts(visited, one, other, visited.visits)
    viewed = (*earlier.viewed, *later.viewed)[-REMEMBERED_VIEWS:]
    one_visit = later.began - earlier.last <= VISIT_GAP_SECONDS and (
        earlier.session is None or later.session in (None, earlier.session)
    )
    if one_visit:
        previous = [at for at in (earlier.previous, later.previous) if at is not None]
        visit = msgspec.structs.replace(
            later,
            session=later.session or earlier.session,
            began=min(later.began, earlier.began),
            events=later.events + earlier.events,
            views=later.views + earlier.views,
            viewed=viewed,
            previous=max(previous, default=None),
            traffic=earlier.traffic or later.traffic,
        )
    else:
        ended = max(earlier.last, later.previous or NEVER)
        visit = msgspec.structs.replace(later, viewed=viewed, previous=ended)
    return _with_counts(visit, one, other, one.visits + other.visits - one_visit)


def _with_counts(visit: FeatureState, one: FeatureState, other: FeatureState, visits: int) -> FeatureState:
    same_cart = one.cart is not None and one.cart == other.cart
    purchased = [at for at in (one.purchased, other.purchased) if at is not None]
    early, late = sorted((one, other), key=lambda half: NEVER if half.touched is None else half.touched)
    left = [at for at in (early.left, late.left, None if same_cart else early.touched) if at is not None]
    return msgspec.structs.replace(
        visit,
        visits=visits,
        cart=visit.cart if visit.cart is not None else one.cart if one.cart is not None else other.cart,
        carts=one.carts + other.carts - same_cart,
        purchases=one.purchases + other.purchases,
        purchased=max(purchased, default=None),
        touched=late.touched,
        looked=late.looked,
        left=max(left, default=None),
    )


def _returned(ours: tuple[Returned, ...], theirs: tuple[Returned, ...]) -> tuple[Returned, ...]:
    total = {back.order_id: back for back in ours}
    for back in theirs:
        total[back.order_id] = added(total.get(back.order_id), back)
    return tuple(total.values())[-REMEMBERED_RETURNS:]


def added(known: Returned | None, back: Returned) -> Returned:
    """What was given back of an order in all."""
    if known is None:
        return back
    return Returned(
        order_id=back.order_id, amount=known.amount + back.amount, cancelled=known.cancelled or back.cancelled
    )

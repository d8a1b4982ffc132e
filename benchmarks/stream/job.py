"""The job that every engine does: decode a cart event, follow its shopper, score, and report one event in twenty.

All of it is here but reading, keeping state and writing, which are the engine's part.
"""

import math
import time
from pathlib import Path

import lightgbm
import msgspec

from ringback.records import CartEvent, EventKind, decoder
from scoring.backends import FastBackend

INPUTS_PER_OUTPUT = 20
PRODUCTS_KEPT = 5
FEATURES = 20
DAY = 86_400.0

_KINDS = {kind: float(number) for number, kind in enumerate(EventKind)}
_TRAFFIC = {"direct": 0.0, "email": 1.0, "search": 2.0, "social": 3.0}


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a shopper: events, minor units put into the cart, time of the last event, last product ids."""

    count: int
    value: int
    last: float
    products: tuple[str, ...]


class Output(msgspec.Struct, frozen=True):
    """What is published for one event in twenty; ``sent`` and ``scored`` are wall-clock seconds."""

    number: int
    shopper_id: str
    score: float
    sent: float
    scored: float


decode = decoder(CartEvent).decode
encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(State).decode
encode_output = msgspec.json.Encoder().encode
decode_output = msgspec.json.Decoder(Output).decode

NEW = State(0, 0, 0.0, ())


def update(state: State, event: CartEvent) -> State:
    """The shopper's state after an event."""
    added = sum(item.quantity * item.unit_price for item in event.items)
    products = (*state.products, *(item.product_id for item in event.items))[-PRODUCTS_KEPT:]
    return State(state.count + 1, state.value + added, max(state.last, event.time), products)


def row(before: State, state: State, event: CartEvent) -> list[float]:
    """The features of a shopper after an event, as many as `FEATURES`; NaN where there is no value."""
    item = event.items[0] if event.items else None
    price = float(item.unit_price) if item else math.nan
    quantity = float(item.quantity) if item else 0.0
    mean = state.value / state.count
    angle = 2 * math.pi * (event.time % DAY) / DAY
    different = len(set(state.products))
    return [
        math.log1p(state.value),
        float(state.count),
        mean,
        price,
        quantity,
        price * quantity,
        price - mean,
        price / mean if mean else math.nan,
        float(len(state.products)),
        float(different),
        different / PRODUCTS_KEPT,
        event.time - before.last if before.count else math.nan,
        math.sin(angle),
        math.cos(angle),
        _KINDS[event.kind],
        _TRAFFIC.get(event.traffic or "", math.nan),
        float(event.step or 0),
        float(item is not None and item.product_id in before.products),
        float(event.cart_id is not None),
        float(event.time // DAY % 7),
    ]


def is_reported(event: CartEvent) -> bool:
    """Whether an event has an output: one in twenty, by its number."""
    return int(event.event_id) % INPUTS_PER_OUTPUT == 0


class Job:
    """The job with its model loaded."""

    def __init__(self, model: Path) -> None:
        self._score = FastBackend(lightgbm.Booster(model_file=str(model))).score

    def step(self, before: State | None, event: CartEvent) -> tuple[State, bytes | None]:
        """The shopper's next state, and the encoded output if this event has one. ``before`` is None for a new one."""
        before = before or NEW
        state = update(before, event)
        score = self._score(row(before, state, event))
        if not is_reported(event):
            return state, None
        output = Output(int(event.event_id), event.shopper_id, score, event.received_wall, time.time())
        return state, encode_output(output)

"""Events for the tests of scoring: builders, and hypothesis strategies for any event."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ringback.records import CartEvent, EventKind, Item

PRODUCTS = ("a", "b", "c", "ü" * 40)


@dataclass(slots=True)
class Log:
    """Events of one shopper, written one after the other."""

    shopper_id: str = "ada"
    events: list[CartEvent] = field(default_factory=list)

    def add(
        self,
        kind: EventKind,
        time: float,
        *products: str,
        price: int = 1999,
        category: str | None = "shoes",
        session: str | None = "1",
        step: int | None = None,
        currency: str = "USD",
        **fields: Any,
    ) -> CartEvent:
        event = CartEvent(
            event_id=f"{self.shopper_id}-{len(self.events)}",
            source="test",
            shopper_id=self.shopper_id,
            kind=kind,
            time=float(time),
            session_id=session,
            items=tuple(Item(product_id=product, unit_price=price, category=category) for product in products),
            currency=currency,
            step=step,
            **fields,
        )
        self.events.append(event)
        return event


items = st.builds(
    Item,
    product_id=st.sampled_from(PRODUCTS),
    quantity=st.integers(0, 50),
    unit_price=st.integers(0, 10**9),
    category=st.sampled_from((None, "", "shoes", "electronics.audio")),
)


def any_events(times: st.SearchStrategy[float]) -> st.SearchStrategy[CartEvent]:
    """Any event of one shopper, sensible or not."""
    return st.builds(
        CartEvent,
        event_id=st.integers(0, 10**9).map(str),
        source=st.just("test"),
        shopper_id=st.just("ada"),
        kind=st.sampled_from(EventKind),
        time=times,
        cart_id=st.sampled_from((None, "1", "2")),
        session_id=st.sampled_from((None, "", "1", "2")),
        items=st.lists(items, max_size=3).map(tuple),
        currency=st.sampled_from((None, "USD", "JPY", "not a currency")),
        value=st.none() | st.integers(0, 10**6),
        step=st.none() | st.integers(0, 9),
        traffic=st.sampled_from((None, "", "google / cpc", "newsletter", "elsewhere")),
    )


def logs(size: int = 25) -> st.SearchStrategy[list[CartEvent]]:
    """Events of one shopper in order of time, some of them at the same moment."""
    times = st.floats(0, 300_000, allow_nan=False)
    return st.lists(any_events(times), max_size=size).map(lambda events: sorted(events, key=lambda event: event.time))

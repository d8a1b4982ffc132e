"""What the shell of a worker carries: here the following of carts; a benchmark gives it another job.

The shell (`stream.processor`, `stream.flush`) takes records, keeps states, and makes durable what is asked for. What
the records mean, and what follows from them, is asked of a `Following`.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from ringback.clock import Clock
from ringback.decisions import Lead
from ringback.metrics import StreamMetrics
from ringback.records import Topic
from ringback.settings import Settings
from scoring import reasons
from scoring.drift.monitor import Monitor
from stream.briefing import Briefing
from stream.business import Business
from stream.carts import ShopperState, decode_marks, decode_state, decode_waiting, encode_state
from stream.outputs import Marks, Output
from stream.partition import Effects, Partition, Scorer, Withdrawal
from stream.prices import Prices
from stream.states import CachedStates


class Asked(Protocol):
    """What some records of one partition ask for."""

    hopper: list[Lead | Withdrawal]


class Follower(Protocol):
    """One partition at work; see `stream.partition.Partition`."""

    batch_wall: float

    def records(self, key: bytes | None, raw: bytes, offset: int, arrived_wall: float) -> Sequence[float]:
        """Take a record of the cart events; the arrival times of the events that led to a score."""

    def contact(self, key: bytes, raw: bytes, offset: int) -> None:
        """Take a record of the contacts."""

    def tick(self, now_wall: float) -> None:
        """Let the clock judge; called while no record waits."""

    def sweep(self, at_most: int, committed: int) -> None:
        """Forget whom nothing was heard of for long, after a look at so many shoppers.

        ``committed`` is the offset up to which no record is ever read again.
        """

    def waiting(self) -> int:
        """Open carts that wait to be judged."""

    def take_effects(self) -> Any:
        """What was asked for since the last call: `Asked`."""


class Following(Protocol):
    """The work of a worker; what is `Any` here is its own."""

    def decode(self, encoded: bytes) -> Any:
        """A state, from its stored form."""

    def partition(self, number: int, states: CachedStates[Any]) -> Follower:
        """A partition of which nothing is known yet."""

    def recover(self, partition: Any, key: bytes, encoded: bytes) -> Marks:
        """Tell a partition of a recovered state; the marks that were stored with it."""

    def outputs(self, number: int, effects: Any) -> list[Output]:
        """What is to be published, before anything else."""

    def changes(self, effects: Any) -> dict[bytes, Any]:
        """States to be written, last; None deletes one."""

    def encode(self, state: Any, marks: Marks) -> bytes | None:
        """The stored form of a state, with ``marks`` in it; None for None."""

    async def complete(self, effects: Any) -> None:
        """Add to what the hopper is to be told that which takes too long to be found out between two events."""

    def published(self, effects: Any) -> None:
        """Measure what there is to measure when the outputs are published."""

    def durable(self, effects: Any) -> None:
        """Count what there is to count when all of it is durable."""


class CartFollowing:
    """The following of carts, by `stream.partition`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        model: Scorer,
        metrics: StreamMetrics,
        prices: Prices,
        monitor: Monitor | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._model = model
        self._metrics = metrics
        self._prices = prices
        self._monitor = monitor
        self._business = Business(metrics, settings.decide)
        self._briefing = Briefing(reasons.load(settings.scoring.reasons))

    def decode(self, encoded: bytes) -> ShopperState:
        """A state, from its stored form."""
        return decode_state(encoded)

    def partition(self, number: int, states: CachedStates[ShopperState]) -> Partition:
        """A partition of which nothing is known yet."""
        # Only from now on can it be told that no events arrive.
        return Partition(
            number,
            self._settings,
            self._clock,
            self._model,
            states,
            last_arrival=time.time(),
            price_at=self._prices.at,
        )

    def recover(self, partition: Partition, key: bytes, encoded: bytes) -> Marks:
        """Tell a partition of a recovered state."""
        partition.load(key, decode_waiting(encoded))
        return decode_marks(encoded)

    def outputs(self, number: int, effects: Effects) -> list[Output]:
        """Decisions, conversions, messages; what goes to other shoppers; dead letters."""
        by_shopper: Iterable[tuple[Topic, str, msgspec.Struct]] = (
            *((Topic.DECISIONS, decision.shopper_id, decision) for decision in effects.decisions),
            *((Topic.CONVERSIONS, conversion.shopper_id, conversion) for conversion in effects.conversions),
            *((Topic.OUTBOX, message.shopper_id, message) for message in effects.messages),
        )
        outputs = [Output(topic, shopper_id.encode(), record, number) for topic, shopper_id, record in by_shopper]
        outputs += [Output(Topic.CART_EVENTS, event.shopper_id.encode(), event, None) for event in effects.forwards]
        outputs += [Output(Topic.DEAD_LETTERS, one.source.encode(), one, None) for one in effects.dead_letters]
        return outputs

    def changes(self, effects: Effects) -> dict[bytes, ShopperState | None]:
        """The states that were changed, and those to be forgotten."""
        return {**dict.fromkeys(effects.forgotten), **effects.states}

    def encode(self, state: ShopperState | None, marks: Marks) -> bytes | None:
        """The stored form of a state."""
        return None if state is None else encode_state(state, marks)

    async def complete(self, effects: Effects) -> None:
        """Say on the leads why these carts, and what to talk about."""
        await self._briefing.complete(effects.hopper, effects.cases)

    def published(self, effects: Effects) -> None:
        """Measure how long the decisions took."""
        if not effects.decisions:
            return
        now, slowest = time.time(), min(effects.decisions, key=lambda decision: decision.due_wall)
        for decision in effects.decisions:
            # Checking an exemplar takes longer than all else: one a batch is enough to follow.
            exemplar = {"decision_id": decision.decision_id} if decision is slowest else None
            self._metrics.due_to_decision.observe(max(0.0, now - decision.due_wall), exemplar)

    def durable(self, effects: Effects) -> None:
        """Count what came of it; tell what was offered to the agents, and watch for drift."""
        self._prices.offered(effects.decisions)
        if self._monitor is not None:
            self._monitor.take(effects.decisions, effects.conversions)
        self._business.count(effects)

"""When carts become due: the watermark of a partition, and the carts that wait for it. Pure.

The watermark is the time up to which the events of a partition are taken to be complete: the newest event time seen,
less the lateness that is allowed. It moves by the events' own time, so a replay judges as the live system would have.
Only where no events arrive does it move with the clock, from where the last event left it.
"""

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class Watermark:
    """The watermark of one partition. Times are business time, seconds."""

    lateness: float
    newest: float = float("-inf")
    lag: float = 0.0

    def see(self, event_time: float, arrived: float) -> None:
        """Take an event into account; ``arrived`` is when it reached the log."""
        if event_time > self.newest:
            self.newest = event_time
            self.lag = arrived - event_time

    @property
    def time(self) -> float:
        """Where the events alone put it."""
        return self.newest - self.lateness

    def idle(self, now: float) -> float:
        """Where it is at ``now`` when no events have arrived: the last event's time plus the time since it arrived.

        In live traffic that is the clock less the usual lag; after a replay of an old log, a clock that goes on from
        the log's end.
        """
        return max(self.newest, now - self.lag) - self.lateness


@dataclass(slots=True)
class DueCarts:
    """The open carts of a partition by the time at which they become due."""

    _due: dict[bytes, float] = field(default_factory=dict)
    _heap: list[tuple[float, bytes]] = field(default_factory=list)
    _is_heap: bool = True

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: bytes) -> bool:
        return key in self._due

    def load(self, key: bytes, due: float) -> None:
        """Set when the cart of a shopper who is not here yet becomes due; cheap for many, one after the other."""
        self._due[key] = due
        self._heap.append((due, key))
        self._is_heap = False

    def put(self, key: bytes, due: float | None) -> None:
        """Set when a shopper's cart becomes due; None when nothing waits."""
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            if not self._is_heap:
                self._order()
            heapq.heappush(self._heap, (due, key))

    def pop(self, until: float) -> tuple[float, bytes] | None:
        """Take the earliest cart that is due at ``until``; equal times in the order of their keys."""
        if not self._is_heap:
            self._order()
        while self._heap and self._heap[0][0] <= until:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                return due, key
        return None

    def _order(self) -> None:
        heapq.heapify(self._heap)
        self._is_heap = True

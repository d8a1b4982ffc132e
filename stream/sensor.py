"""What Faust lets be seen of itself, in Ringback's metrics and in seconds: new deals of the partitions, and commits.

What concerns each record is measured where records are taken (`stream.processor`): Faust's calls for that are dear.
"""

import logging
import time
from typing import Any

from faust.sensors.monitor import Monitor

from ringback.metrics import StreamMetrics


class Sensor(Monitor):
    """Faust's monitor, which it can't do without; it keeps nothing for itself of single records."""

    logger = logging.getLogger("faust.sensors")

    def __init__(self, metrics: StreamMetrics) -> None:
        super().__init__()
        self._metrics = metrics

    def on_rebalance_start(self, app: Any) -> dict[str, Any]:
        """Remember when; a deal that another one cuts short begins anew."""
        return {"began": time.monotonic()}

    def on_rebalance_return(self, app: Any, state: dict[str, Any]) -> None:
        """The new deal is known, but nothing is loaded yet."""

    def on_rebalance_end(self, app: Any, state: dict[str, Any]) -> None:
        """Measure until the worker follows its partitions."""
        self._metrics.rebalance_time.observe(time.monotonic() - state["began"])

    def on_commit_initiated(self, consumer: Any) -> float:
        """Remember when."""
        return time.monotonic()

    def on_commit_completed(self, consumer: Any, state: float) -> None:
        """Measure a commit."""
        self._metrics.commit.observe(time.monotonic() - state)

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Count nothing."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        """Count nothing."""

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Count nothing."""

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        """Count nothing."""

    def track_tp_end_offset(self, tp: Any, offset: int) -> None:
        """Note nothing."""


class Recovery:
    """How long the loading of states takes, while it lasts and when it is over."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self._began: float | None = None
        self._took = 0.0
        metrics.recovering.set_function(lambda: self._began is not None)
        metrics.recovery.set_function(self._seconds)

    def begin(self) -> None:
        """The partitions are known, and their states are about to be read."""
        self._began = time.monotonic()

    def end(self) -> None:
        """All states are there."""
        self._took, self._began = self._seconds(), None

    def _seconds(self) -> float:
        # Another thread asks for it.
        began = self._began
        return self._took if began is None else time.monotonic() - began

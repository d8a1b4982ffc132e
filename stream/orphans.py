"""Leaves records that nobody will acknowledge any more, so that a new deal of the partitions need not wait for them.

Faust deals anew, and stops, only when all that was taken is acknowledged. A record that is neither acknowledged nor
left would hold up its worker for ever, and the partitions with it. It is read again by whoever gets them.
"""

import logging
from typing import Any

log = logging.getLogger(__name__)

# Far longer than a record is on its way from Faust to the processor.
PATIENCE_SECONDS = 3.0


class Orphans:
    """Looks at what Faust waits for, a few times a second while it waits."""

    def __init__(self) -> None:
        self._since: float | None = None

    def look(self, consumer: Any, *, idle: bool, now: float) -> int:
        """Leave what a Faust consumer waits for when processor and flusher were ``idle`` for long; how many it was.

        ``now`` is monotonic.
        """
        if not idle or not consumer.unacked:
            self._since = None
            return 0
        if self._since is None:
            self._since = now
        if now - self._since < PATIENCE_SECONDS:
            return 0
        left = len(consumer.unacked)
        log.error("%d records were neither acknowledged nor left; they are left now, and read again", left)
        consumer.unacked.clear()
        self._since = None
        return left

    def forget(self) -> None:
        """Nothing is waited for."""
        self._since = None

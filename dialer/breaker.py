"""Stops dialling into a dead trunk, which would burn the whole list. Pure: times in seconds of a steady clock."""

RUN = 5
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 120.0


class Breaker:
    """Opens after failures of weight ``RUN`` in a row. After a pause one call may try; a failure doubles the pause."""

    def __init__(self) -> None:
        self._failures = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._paused_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the trunk is thought to be dead."""
        return self._failures >= RUN

    def failed(self, now: float, weight: float = 1.0) -> bool:
        """A call failed in the network; whether that opens the breaker (anew)."""
        self._failures += weight
        if not self.is_open or now < self._paused_until:
            return False
        self._paused_until = now + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return True

    def worked(self) -> None:
        """A call got through to an answer of any kind."""
        self._failures = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._paused_until = 0.0

    def allowance(self, now: float, in_flight: int) -> int | None:
        """How many calls may be started: None for as many as you like."""
        if not self.is_open:
            return None
        return 1 if now >= self._paused_until and in_flight == 0 else 0

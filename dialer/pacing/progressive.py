"""Pacing that needs no forecast: preview and progressive dialling."""

from dialer.pacing.floor import Event, Floor


class Progressive:
    """One line for each idle agent, so that nobody who answers has to wait.

    A call is abandoned only when an agent leaves while it rings (cf. "progressive dialling" in Ofcom's statements on
    persistent misuse).
    """

    def decide(self, now: float, floor: Floor) -> int:
        """As many calls as there are idle agents without a call on the way."""
        return max(0, min(floor.uncovered, floor.free_lines))

    def observe(self, event: Event) -> None:
        """Nothing to learn."""


class Preview:
    """No call, unless an agent has looked at the lead and asked for it: such calls are not paced."""

    def decide(self, now: float, floor: Floor) -> int:
        """None."""
        return 0

    def observe(self, event: Event) -> None:
        """Nothing to learn."""

"""Predictive pacing: dial ahead of agents who get free, as far as the limit of abandoned calls allows."""

from dialer.pacing.control import OverDial
from dialer.pacing.floor import Abandoned, Connected, Event, Floor, Guard, Resolved, TalkEnded, WrapUpEnded
from dialer.pacing.forecast import Forecast


class Pacer:
    """Dials while expected answers <= expected free agents + z standard deviations, at every horizon.

    z is moved by nothing but the abandoned calls (`dialer.pacing.control`), which are kept to ``limit`` of the live
    answers in the long run. ``hold_seconds`` is how long somebody who answered may wait for an agent. A ``guard`` may
    allow fewer calls; while it does, z stands still. Starts progressive until it knows enough of the campaign, and is
    so with ``small_team`` agents or fewer. Each idle agent has a line in any case.
    """

    def __init__(
        self, *, limit: float = 0.03, hold_seconds: float = 2.0, guard: Guard | None = None, small_team: int = 0
    ) -> None:
        self._forecast = Forecast(hold_seconds)
        self._over_dial = OverDial(limit)
        self._guard = guard
        self._small_team = small_team
        self._braked = False

    @property
    def z(self) -> float:
        """How far expected answers may go over expected free agents, in standard deviations. Mostly negative."""
        return self._over_dial.z

    @property
    def braked(self) -> bool:
        """Whether the guard allowed fewer calls than wanted at the last decision."""
        return self._braked

    def decide(self, now: float, floor: Floor) -> int:
        """How many calls to start now: 0 or more, never over ``floor.free_lines``."""
        outlook = self._forecast.outlook(now, floor)
        wanted = max(floor.uncovered, 0)
        team = floor.idle + len(floor.busy)
        if team > self._small_team and self._forecast.knows_enough and not self._over_dial.at_rest:
            wanted = max(wanted, outlook.lines(self._over_dial.z))
        wanted = max(0, min(wanted, floor.free_lines))
        allowed = wanted if self._guard is None else max(0, min(wanted, self._guard(now, floor)))
        self._braked = allowed < wanted
        return allowed

    def observe(self, event: Event) -> None:
        """Learn from what happened. It happened at the ``now`` of the last decision, or just after it."""
        match event:
            case Resolved(kind, seconds):
                self._forecast.resolved(kind, seconds)
            case TalkEnded(seconds):
                self._forecast.talk_ended(seconds)
            case WrapUpEnded(seconds):
                self._forecast.wrap_up_ended(seconds)
            case Connected() | Abandoned() if not self._braked and self._forecast.knows_enough:
                self._over_dial.judge(abandoned=isinstance(event, Abandoned))
            case _:
                pass

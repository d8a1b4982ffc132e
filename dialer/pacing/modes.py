"""Which pacing a campaign's mode asks for."""

from dialer.pacing.floor import Guard, Pacing
from dialer.pacing.predictive import Pacer
from dialer.pacing.progressive import Preview, Progressive
from ringback.dialer_settings import Mode

SMALL_TEAM = 3
"""So many agents are dialled for progressively: few answers an hour leave a limit of 3 % no room to learn in."""


def pacer_for(mode: Mode, *, limit: float = 0.03, hold_seconds: float = 2.0, guard: Guard | None = None) -> Pacing:
    """The pacing of a mode. A predictive one dials progressively while `SMALL_TEAM` agents or fewer are on the floor.

    ``limit``, ``hold_seconds`` and ``guard`` are as in `Pacer`; only that one can abandon calls by over-dialling.
    """
    match mode:
        case Mode.PREVIEW:
            return Preview()
        case Mode.PROGRESSIVE:
            return Progressive()
        case Mode.PREDICTIVE:
            return Pacer(limit=limit, hold_seconds=hold_seconds, guard=guard, small_team=SMALL_TEAM)

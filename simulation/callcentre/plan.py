"""What a planner asks of a call floor before there is one: how busy agents will be, how many lines, how many calls."""

from dataclasses import dataclass

from simulation.callcentre.tally import HOUR, Result, quantile

ENOUGH, AT_ONCE = 0.99, 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """The figures of a simulated floor. Shares are of 1, waits in seconds; per hour is of the whole floor.

    ``lines`` were enough in 99 % of the time; ``at_once`` is the share of live answers who had an agent in 0.1 s.
    """

    occupancy: float
    occupancy_by_hour: tuple[float, ...]
    abandonment: float
    abandoned: int
    calls_per_hour: float
    conversations_per_hour: float
    lines: int
    most_lines: int
    agent_wait: float
    agent_wait_p95: float
    at_once: float


def plan_of(result: Result) -> Plan:
    """The figures of what was simulated."""
    total = result.total
    hours = total.seconds / HOUR
    waits = result.agent_waits
    return Plan(
        occupancy=total.occupancy,
        occupancy_by_hour=tuple(hour.occupancy for hour in result.hours if hour.seconds),
        abandonment=total.abandonment,
        abandoned=total.abandoned + total.mistaken,
        calls_per_hour=total.dials / hours,
        conversations_per_hour=total.connected / hours,
        lines=result.lines_enough_for(ENOUGH),
        most_lines=max(result.line_seconds),
        agent_wait=sum(waits) / len(waits) if waits else 0.0,
        agent_wait_p95=quantile(waits, 0.95),
        at_once=sum(wait < AT_ONCE for wait in result.shopper_waits) / total.live if total.live else 0.0,
    )

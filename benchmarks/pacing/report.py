"""What the benchmark's runs come to: tables, targets, and the summary."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, stdev
from typing import Any

from rich.table import Table

from benchmarks.pacing.cells import CONSTANT, GUARDED, LIMIT, PACER, STRESSES, Place, Run, World, total
from benchmarks.pacing.markov import Campaign, optimum

# Student's t, 97.5 %, by degrees of freedom; above these 1.96 + 2.5 / degrees is as close.
STUDENT = (math.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
OCCUPANCY = {5: 0.78, 10: 0.86, 20: 0.905, 50: 0.95, 100: 0.97}
LONG_RUN, WORST_GUARDED_DAY, GUARD_COSTS = 0.03, 0.032, 0.02
GAP, GAP_FROM = 0.95, 20
BEHIND, AHEAD = 0.005, 0.02
DECIDE_MS = 1.0


@dataclass(frozen=True, slots=True)
class Findings:
    """All runs by place and rule, in the order of seeds; seconds of a decision, median and 99th percentile."""

    decide_seconds: tuple[float, float]
    runs: dict[tuple[Place, str], list[Run]]

    def of(self, world: World, rule: str) -> Iterator[tuple[Place, list[Run]]]:
        """The places of a world where the rule was played, and its runs there."""
        found = ((place, runs) for (place, name), runs in self.runs.items() if name == rule and place.world is world)
        return iter(sorted(found, key=lambda one: (one[0].answer_rate, one[0].talk, one[0].agents)))

    def usual(self, world: World, rule: str) -> Iterator[tuple[Place, list[Run]]]:
        """The same, but only for the usual campaign."""
        return ((place, runs) for place, runs in self.of(world, rule) if place.is_usual)


def occupancy(runs: Sequence[Run]) -> float:
    """The median of the seeds."""
    return median(run.total.occupancy for run in runs)


def abandoned(runs: Iterable[Run]) -> float:
    """Abandoned calls per live answer, of all seeds together: few answers make a bad median."""
    return total(runs).abandonment


def worst_day(runs: Iterable[Run]) -> float:
    """The worst of all days."""
    return max(day.abandonment for run in runs for day in run.days)


def half_interval(runs: Sequence[Run]) -> float:
    """Half the 95 % interval of the mean occupancy, over all days; infinite for one day."""
    values = [day.occupancy for run in runs for day in run.days]
    degrees = len(values) - 1
    if not degrees:
        return math.inf
    student = STUDENT[degrees] if degrees < len(STUDENT) else 1.96 + 2.5 / degrees
    return student * stdev(values) / math.sqrt(len(values))


def gap_closed(place: Place, runs: Sequence[Run]) -> float:
    """How much of the way from progressive dialling to the optimum the pacer went."""
    limit = max(LIMIT, abandoned(runs))
    campaign = Campaign(place.agents, handling=place.handling, answer_rate=place.answer_rate, limit=limit)
    return (occupancy(runs) - campaign.progressive) / (optimum(campaign) - campaign.progressive)


def summary(findings: Findings) -> dict[str, Any]:
    """What the last line says: by number of agents, of the usual campaign; ``cells`` of the others too."""
    return {
        "realistic": _by_agents(findings, World.REALISTIC, PACER),
        "guarded": _by_agents(findings, World.REALISTIC, GUARDED),
        "markov_gap_closed": {
            str(place.agents): round(gap_closed(place, runs), 3) for place, runs in findings.of(World.MARKOV, PACER)
        },
        "hindsight_constant": _by_agents(findings, World.REALISTIC, CONSTANT),
        "swing": {
            str(place.agents): {
                **_numbers(runs),
                "hindsight_constant": round(occupancy(findings.runs[place, CONSTANT]), 4),
                "ahead": round(_ahead(findings, place), 4),
            }
            for place, runs in findings.of(World.SWING, PACER)
        },
        "stress": {
            world: {str(place.agents): _numbers(runs) for place, runs in findings.of(world, PACER)}
            for world in STRESSES
        },
        "least_ahead": round(min(_ahead(findings, place) for place, _ in findings.of(World.REALISTIC, PACER)), 4),
        "cells": {
            f"{place.agents}/{place.answer_rate}/{place.talk:.0f}": {
                **_numbers(runs),
                "ahead": round(_ahead(findings, place), 4),
            }
            for place, runs in findings.of(World.REALISTIC, PACER)
            if not place.is_usual
        },
        "decide_ms_p99": round(findings.decide_seconds[1] * 1e3, 3),
    }


def _ahead(findings: Findings, place: Place) -> float:
    return occupancy(findings.runs[place, PACER]) - occupancy(findings.runs[place, CONSTANT])


def _by_agents(findings: Findings, world: World, rule: str) -> dict[str, dict[str, float]]:
    return {str(place.agents): _numbers(runs) for place, runs in findings.usual(world, rule)}


def _numbers(runs: Sequence[Run]) -> dict[str, float]:
    return {
        "occupancy": round(occupancy(runs), 4),
        "abandoned": round(abandoned(runs), 4),
        "worst_day": round(worst_day(runs), 4),
    }


def shown(findings: Findings) -> Iterator[Table | str]:
    """The tables and what of the targets was met."""
    yield _rules(findings)
    yield _beside_constant(findings)
    yield _markov(findings)
    yield _stressed(findings)
    typical, slow = (seconds * 1e3 for seconds in findings.decide_seconds)
    yield f"processor time of a decision, 100 agents, 300 calls in flight: median {typical:.2f} ms, 99 % {slow:.2f} ms"
    for said, met in targets(findings):
        yield f"{'met   ' if met else 'MISSED'}  {said}"


def _rules(findings: Findings) -> Table:
    places = [place for place, _ in findings.usual(World.REALISTIC, PACER)]
    table = Table(title="A quarter answers, 165 s of talk, 15 s of wrap-up: occupancy / abandoned calls (worst day), %")
    table.add_column("rule")
    for place in places:
        days = sum(len(run.days) for run in findings.runs[place, PACER])
        table.add_column(f"{place.agents} agents, {days} days", justify="right")
    rules = dict.fromkeys(rule for place, rule in findings.runs if place in places)
    for rule in rules:
        table.add_row(rule, *(_cell(findings.runs[place, rule]) for place in places))
    return table


def _cell(runs: Sequence[Run]) -> str:
    busy, half = _percent(occupancy(runs)), _percent(half_interval(runs))
    return f"{busy} ±{half} / {_percent(abandoned(runs))} ({_percent(worst_day(runs))})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _beside_constant(findings: Findings) -> Table:
    table = Table(title="The pacer and the constant that was the best in hindsight: occupancy / abandoned calls, %")
    for name in ("floor", "pacer", "constant", "lines per idle agent", "ahead, points"):
        table.add_column(name, justify="left" if name == "floor" else "right")
    for world in (World.REALISTIC, World.SWING, World.MARKOV):
        for place, runs in findings.of(world, PACER):
            constant = findings.runs[place, CONSTANT]
            table.add_row(
                str(place),
                *(f"{_percent(occupancy(one))} / {_percent(abandoned(one))}" for one in (runs, constant)),
                f"{constant[0].parameter:.2f}",
                f"{100 * _ahead(findings, place):+.1f}",
            )
    return table


def _markov(findings: Findings) -> Table:
    table = Table(title="The Markov world, where the optimum is known: occupancy, %")
    for name in ("agents", "progressive", "pacer", "optimum", "gap closed"):
        table.add_column(name, justify="right")
    for place, runs in findings.of(World.MARKOV, PACER):
        campaign = Campaign(place.agents, handling=place.handling, answer_rate=place.answer_rate)
        table.add_row(
            str(place.agents),
            _percent(campaign.progressive),
            _percent(occupancy(runs)),
            _percent(optimum(campaign)),
            f"{gap_closed(place, runs):.1%}",
        )
    return table


def _stressed(findings: Findings) -> Table:
    table = Table(title="The pacer in trouble: occupancy / abandoned calls (worst day), %")
    table.add_column("floor")
    table.add_column("pacer", justify="right")
    for world in STRESSES:
        for place, runs in findings.of(world, PACER):
            table.add_row(str(place), _cell(runs))
    return table


def targets(findings: Findings) -> Iterator[tuple[str, bool]]:
    """What was aimed at, and whether it was met."""
    for place, runs in findings.of(World.MARKOV, PACER):
        if place.agents >= GAP_FROM:
            closed = gap_closed(place, runs)
            yield f"{place}: {closed:.1%} of the gap closed, {GAP:.0%} wanted", closed >= GAP
    for place, runs in findings.usual(World.REALISTIC, PACER):
        yield from _long_run(findings, place, runs)
    for world, least in ((World.REALISTIC, -BEHIND), (World.SWING, AHEAD)):
        for place, _ in findings.of(world, PACER):
            ahead = _ahead(findings, place)
            yield f"{place}: {100 * ahead:+.1f} points beside the constant, {100 * least:+.1f} wanted", ahead >= least
    slow = findings.decide_seconds[1] * 1e3
    yield f"99 % of decisions within {slow:.2f} ms, {DECIDE_MS:.0f} ms wanted", slow <= DECIDE_MS


def _long_run(findings: Findings, place: Place, runs: Sequence[Run]) -> Iterator[tuple[str, bool]]:
    busy, lost = occupancy(runs), abandoned(runs)
    if place.agents in OCCUPANCY:
        least = OCCUPANCY[place.agents]
        yield f"{place}: occupancy {busy:.1%}, {least:.1%} wanted", busy >= least
    yield f"{place}: {lost:.2%} abandoned, {LONG_RUN:.1%} allowed", round(lost, 4) <= LONG_RUN
    guarded = findings.runs[place, GUARDED]
    worst, cost = worst_day(guarded), busy - occupancy(guarded)
    yield f"{place}, guarded: worst day {worst:.2%}, {WORST_GUARDED_DAY:.1%} allowed", worst <= WORST_GUARDED_DAY
    yield f"{place}, guarded: costs {100 * cost:.1f} points, {100 * GUARD_COSTS:.0f} allowed", cost <= GUARD_COSTS

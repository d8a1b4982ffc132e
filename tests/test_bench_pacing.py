"""The benchmark of pacing: its solver against a linear programme and known values, and its way from runs to summary."""

import json

import numpy as np
import pytest
from rich.console import Console

from benchmarks.pacing.cells import CONSTANT, GUARDED, LIMIT, PACER, RULES, Job, Place, Run, World, total
from benchmarks.pacing.markov import Campaign, optimum
from benchmarks.pacing.report import Findings, shown, summary
from simulation.callcentre import Tally, play


@pytest.mark.parametrize(
    ("campaign", "occupancy"),
    [
        (Campaign(1), 0.708),
        (Campaign(2), 0.736),
        (Campaign(5), 0.783),
        (Campaign(10), 0.836),
        (Campaign(20), 0.887),
        (Campaign(50), 0.937),
        (Campaign(20, patience=0), 0.881),
        (Campaign(20, limit=0.01), 0.856),
        (Campaign(20, limit=0.05), 0.902),
        (Campaign(20, answer_rate=0.1), 0.878),
        (Campaign(20, answer_rate=0.5), 0.900),
        (Campaign(20, handling=60), 0.847),
        (Campaign(20, resolution=10), 0.916),
    ],
    ids=str,
)
def test_the_optimum_is_as_published(campaign: Campaign, occupancy: float) -> None:
    assert optimum(campaign) == pytest.approx(occupancy, abs=1e-3)


def test_the_optimum_is_that_of_the_linear_programme() -> None:
    linprog = pytest.importorskip("scipy.optimize", reason="scipy comes with an extra (train)").linprog
    campaign, most = Campaign(2, patience=0), 20
    # Occupation measures of the uniformised chain: x[answered, in flight, in flight after adding calls].
    tuples = [(n, m, k) for n in range(3) for m in range(most + 1) for k in range(m, most + 1)]
    fastest = 2 / campaign.handling + most / campaign.resolution
    flow = np.zeros((3 * (most + 1), len(tuples)))
    busy, over = np.zeros(len(tuples)), np.zeros(len(tuples))

    def state(n: int, m: int) -> int:
        return n * (most + 1) + m

    for at, (n, m, k) in enumerate(tuples):
        ends, resolves = n / campaign.handling / fastest, k / campaign.resolution / fastest
        live = resolves * campaign.answer_rate
        flow[state(n, m), at] += 1
        flow[state(n, k), at] -= 1 - ends - resolves
        flow[state(max(n - 1, 0), k), at] -= ends
        flow[state(n, max(k - 1, 0)), at] -= resolves - live
        flow[state(min(n + 1, 2), max(k - 1, 0)), at] -= live
        busy[at] = n / 2
        over[at] = live * ((n == 2) - campaign.limit)
    found = linprog(
        -busy,
        A_ub=over[None, :] / np.abs(over).max(),
        b_ub=[0.0],
        A_eq=np.vstack([flow, np.ones(len(tuples))]),
        b_eq=np.append(np.zeros(len(flow)), 1.0),
    )
    assert found.success
    assert optimum(campaign) == pytest.approx(-found.fun, abs=3e-4)


def test_progressive_is_below_the_optimum_by_less_the_fewer_calls_may_be_abandoned() -> None:
    gaps = [optimum(Campaign(5, limit=limit)) - Campaign(5).progressive for limit in (0.001, 0.01, 0.03)]
    assert 0 < gaps[0] < gaps[1] < gaps[2]


def test_a_tuned_rule_stays_within_the_limit() -> None:
    runs = Job(Place(World.REALISTIC, 5), CONSTANT, 1, (0,)).run()
    assert len(runs) == 1
    assert 0.005 < total(runs).abandonment <= LIMIT
    assert 1.2 < runs[0].parameter < 4


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_agents_busy(rule: str) -> None:
    tick, make = RULES[rule]
    place = Place(World.REALISTIC, 10)
    assert play(place.scenario(tick), make(place), 0.5, seed=1).total.occupancy > 0.3


def _runs(*occupancies: float, abandoned: int = 25) -> list[Run]:
    days = [Tally(staffed=1.0, busy=busy, live=1000, abandoned=abandoned + n) for n, busy in enumerate(occupancies)]
    return [Run(day, (day,), parameter=2.5) for day in days]


def _findings() -> Findings:
    usual, moving = (Place(world, 20) for world in (World.REALISTIC, World.SWING))
    markov, other = Place(World.MARKOV, 20, talk=180.0), Place(World.REALISTIC, 20, 0.1, 60.0)
    runs = {
        (usual, PACER): _runs(0.91, 0.90, 0.92),
        (usual, GUARDED): _runs(0.88, 0.89, 0.90, abandoned=32),
        (usual, CONSTANT): _runs(0.88, 0.88, 0.88),
        (moving, PACER): _runs(0.9, 0.9, 0.9),
        (moving, CONSTANT): _runs(0.885, 0.885, 0.885),
        (markov, PACER): _runs(0.883, 0.883, 0.883),
        (markov, CONSTANT): _runs(0.88, 0.88, 0.88),
        (Place(World.BREAKS, 20), PACER): _runs(0.85, 0.85, 0.85),
        (other, PACER): _runs(0.80, 0.80, 0.80),
        (other, CONSTANT): _runs(0.81, 0.81, 0.81),
    }
    return Findings((1e-4, 4e-4), runs)


def test_the_summary_says_what_the_runs_did() -> None:
    told = json.loads(json.dumps(summary(_findings())))
    assert told["realistic"] == {"20": {"occupancy": 0.91, "abandoned": 0.026, "worst_day": 0.027}}
    assert told["guarded"]["20"]["worst_day"] == 0.034
    assert told["hindsight_constant"]["20"]["occupancy"] == 0.88
    assert told["swing"]["20"]["ahead"] == 0.015
    assert told["markov_gap_closed"]["20"] == pytest.approx((0.883 - 0.6923) / (0.8865 - 0.6923), abs=2e-3)
    assert told["stress"]["breaks"]["20"]["occupancy"] == 0.85
    assert told["least_ahead"] == -0.01
    assert told["cells"]["20/0.1/60"]["ahead"] == -0.01
    assert told["decide_ms_p99"] == 0.4


def test_what_was_missed_is_said() -> None:
    console = Console(width=140, record=True)
    for part in shown(_findings()):
        console.print(part)
    lines = console.export_text().splitlines()
    missed = " ".join(line for line in lines if line.startswith("MISSED"))
    met = " ".join(line for line in lines if line.startswith("met"))
    assert "worst day 3.40%" in missed
    assert "+1.5 points beside the constant" in missed
    assert "-1.0 points beside the constant" in missed
    assert "occupancy 91.0%" in met
    assert "98.2% of the gap closed" in met
    assert any("pacer, guarded" in line and "89.0" in line for line in lines)

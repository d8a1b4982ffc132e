"""How close the pacer comes to the best that is possible, and how far from what other dialers do, on simulated floors.

    make bench-pacing ARGS=--quick

Each floor is played with several seeds. Shown are the medians of these and, in the large table, the 95 % interval of
the mean over all days. Occupancy is the share of time in which agents talked or wrapped up; abandoned calls are per
live answer; the worst day is the worst of all 8-hour days played. The gap closed in the Markov world is that between
progressive dialling and the exact optimum (`benchmarks.pacing.markov`) for as many abandoned calls as the pacer had, or
for the limit if these were fewer. The last line is one JSON object.
"""

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.pacing.cells import CONSTANT, PACER, RATIO, RULES, STRESSES, Job, Place, Run, World, decide_seconds
from benchmarks.pacing.report import Findings, shown, summary

QUICK_AGENTS = (5, 20, 50)
AGENTS, ANSWER_RATES, TALKS = (2, 5, 10, 20, 50, 100), (0.1, 0.25, 0.5), (60.0, 165.0, 300.0)
HANDLING = 180.0
STRESSED_AGENTS = 20
SEEDS, STRESS_SEEDS = 5, 2
# Days that a floor of one agent is played with each seed: small floors have few answers a day.
QUICK_DAYS, DAYS = 18.0, 40.0


def main() -> None:
    """Play all floors and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pacing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5, 20 and 50 agents, a quarter answers, 165 s of talk")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    flags = parser.parse_args()
    sizes = QUICK_AGENTS if flags.quick else AGENTS
    jobs = list(_jobs(sizes, QUICK_DAYS if flags.quick else DAYS, grid=not flags.quick))
    findings = Findings(decide_seconds=decide_seconds(), runs=_run(jobs, flags.processes))
    console = Console(width=140)
    for part in shown(findings):
        console.print(part)
    print(json.dumps(summary(findings)))


def _jobs(sizes: tuple[int, ...], days: float, *, grid: bool) -> Iterator[Job]:
    """What is to be played, the longest first."""
    for agents in sorted(sizes, reverse=True):
        span = max(1, round(days / agents**0.75))
        usual = Place(World.REALISTIC, agents)
        moving, markov = Place(World.SWING, agents), Place(World.MARKOV, agents, talk=HANDLING)
        for rule, seed in product(RULES, range(SEEDS)):
            yield Job(usual, rule, span, (seed,))
        stressed = [Place(world, agents) for world in STRESSES] if agents == STRESSED_AGENTS else []
        for place, seed in (*product((moving, markov), range(SEEDS)), *product(stressed, range(STRESS_SEEDS))):
            yield Job(place, PACER, span, (seed,))
        others = [Place(World.REALISTIC, agents, *cell) for cell in product(ANSWER_RATES, TALKS)] if grid else []
        for place, seed in product(others, range(SEEDS)):
            if place != usual:
                yield Job(place, PACER, span, (seed,))
        for place in dict.fromkeys((usual, moving, markov, *others)):
            yield Job(place, CONSTANT, span, tuple(range(SEEDS)))
        if grid:
            yield Job(usual, RATIO, span, tuple(range(SEEDS)))


def _run(jobs: list[Job], processes: int) -> dict[tuple[Place, str], list[Run]]:
    found: dict[Job, tuple[Run, ...]] = {}
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        ProcessPoolExecutor(processes, get_context("spawn")) as pool,
    ):
        task = progress.add_task("floors", total=len(jobs))
        waiting = {pool.submit(job.run): job for job in jobs}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            progress.advance(task)
    runs: dict[tuple[Place, str], list[Run]] = {}
    for job in jobs:
        runs.setdefault((job.place, job.rule), []).extend(found[job])
    return runs


if __name__ == "__main__":
    main()

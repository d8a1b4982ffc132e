"""The model of the benchmark: 300 trees of 31 leaves, trained on the benchmark's own events."""

import random
from pathlib import Path

import lightgbm
import numpy as np

from benchmarks.stream import job
from benchmarks.stream.events import event

TREES = 300
LEAVES = 31
ROWS = 20_000
SEED = 7


def train(path: Path) -> None:
    """Train the model and write it. What it predicts means nothing; a score costs as much as a real one."""
    labels = random.Random(SEED)  # noqa: S311 - a benchmark is repeated with the same numbers
    states: dict[str, job.State] = {}
    rows, bought = [], []
    for number in range(ROWS):
        seen = event(number, 0.0)
        before = states.get(seen.shopper_id, job.NEW)
        states[seen.shopper_id] = state = job.update(before, seen)
        rows.append(job.row(before, state, seen))
        bought.append(labels.random() < 0.1 + 0.02 * state.count + 0.1 * (seen.traffic == "email"))
    parameters = {
        "objective": "binary",
        "num_leaves": LEAVES,
        "learning_rate": 0.05,
        "seed": SEED,
        "verbosity": -1,
        # More threads than cores that the process may use would spin for minutes.
        "num_threads": 1,
    }
    data = lightgbm.Dataset(np.array(rows), label=np.array(bought, dtype=np.float64))
    lightgbm.train(parameters, data, num_boost_round=TREES).save_model(str(path))

"""What a score costs: our backend beside other engines for LightGBM models, and features and score of one cart event.

    python -m benchmarks.scoring [--quick]

One process asks all engines in turn; it has an environment of its own, ``.tools/bench-scoring``, made once. The model
has 300 trees of 31 leaves and 30 features, of which 3 % are missing. An engine that can't be installed is left out. The
last line is one JSON object.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.reload import reload_stall_ms
from benchmarks.stream.environments import ROOT, SHARED
from ringback.errors import BadEvent
from scoring.features import vector
from scoring.fold import Folded, advanced
from scoring.manifest import sha256
from scoring.model import Model, default_model_folder
from simulation.shop import training_log

FOLDER = ROOT / ".tools" / "bench-scoring"
FOREIGN = {
    # lleaves breaks with any newer llvmlite, which its metadata allow.
    "lleaves": ("lleaves==1.3.0", "llvmlite==0.44.0"),
    "treelite": ("treelite==4.8.1",),
    "tl2cgen": ("tl2cgen==1.0.0",),
    "onnxruntime": ("onnxruntime==1.32.0", "onnxmltools==1.16.0", "skl2onnx==1.20.0"),
}
FOREIGN_LIST = [package for packages in FOREIGN.values() for package in packages]
COLUMNS, TREES, LEAVES, MISSING = 30, 300, 31, 0.03
TRAINING_ROWS, ROWS = 20_000, 8_192
EVENTS, WARM_EVENTS = 30_000, 5_000
SEED = 7


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer events and reloads")
    options = parser.parse_args()
    python = environment()
    with tempfile.TemporaryDirectory(prefix="rb-scoring-") as folder:
        model, rows = Path(folder) / "model.txt", Path(folder) / "rows.npy"
        write(model, rows)
        compiled = FOLDER / f"compiled-{sha256(model.read_bytes())[:12]}"
        compiled.mkdir(exist_ok=True)
        engines = compared(python, model, rows, compiled)
    console = Console()
    for size, spent in engines["sizes"].items():
        console.print(table(f"rows a call: {size}; microseconds", spent))
    for name, what in engines["versions"].items():
        console.print(f"{name}: {what}", highlight=False, markup=False)
    for name, why in engines["missing"].items():
        console.print(f"{name} is left out: {why}", highlight=False, markup=False)
    event = event_us(EVENTS // 5 if options.quick else EVENTS)
    console.print(f"one cart event, cart, features and score: p50 {event['p50']:.1f} us, p99 {event['p99']:.1f} us")
    stall = reload_stall_ms(5) if options.quick else reload_stall_ms()
    console.print(f"longest time between two scores while another model is loaded: {stall:.2f} ms")
    print(
        json.dumps(
            {
                "single_row_us": engines["sizes"]["1"],
                "rows_32_us": engines["sizes"]["32"],
                "rows_256_us": engines["sizes"]["256"],
                "event_us": event,
                "reload_stall_ms": round(stall, 3),
                "engines": engines["versions"],
            }
        )
    )


def environment() -> Path:
    """The interpreter of the environment with the foreign engines, made where it is not there yet."""
    python, done = FOLDER / "bin" / "python", FOLDER / "installed.json"
    wanted = [f"{name}=={version(name)}" for name in SHARED]
    if done.exists() and json.loads(done.read_text()) == [wanted, FOREIGN_LIST]:
        return python
    print("installing lleaves, treelite, tl2cgen and onnxruntime into .tools/bench-scoring …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
    if not _installed(python, [*wanted, *FOREIGN_LIST]):
        # One of them is in the way: each by itself, and those that can't be had are left out.
        if not _installed(python, wanted):
            sys.exit(f"{', '.join(wanted)} can't be installed with pip: is the package index there?")
        for packages in FOREIGN.values():
            _installed(python, [*wanted, *packages])
    done.write_text(json.dumps([wanted, FOREIGN_LIST]))
    return python


def _installed(python: Path, packages: list[str]) -> bool:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def write(model: Path, rows: Path) -> None:
    """Train the model, and draw the rows."""
    rng = np.random.default_rng(SEED)
    drawn = rng.normal(size=(TRAINING_ROWS + ROWS, COLUMNS))
    labels = (drawn[:, :8].sum(axis=1) + 2.0 * rng.normal(size=len(drawn)) > 0).astype(np.float64)
    drawn[rng.random(drawn.shape) < MISSING] = math.nan
    data = lightgbm.Dataset(drawn[:TRAINING_ROWS], labels[:TRAINING_ROWS])
    parameters = {"objective": "binary", "num_leaves": LEAVES, "learning_rate": 0.05, "seed": SEED}
    parameters |= {"deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1}
    lightgbm.train(parameters, data, num_boost_round=TREES).save_model(str(model))
    np.save(rows, drawn[TRAINING_ROWS:])


def compared(python: Path, model: Path, rows: Path, folder: Path) -> dict[str, Any]:
    """What `benchmarks.scoring_engines` measured."""
    command = [str(python), "-W", "ignore", "-m", "benchmarks.scoring_engines"]
    command += ["--model", str(model), "--rows", str(rows), "--folder", str(folder)]
    print("compiling the model for the engines that need it, then asking all of them in turn …", flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"benchmarks.scoring_engines failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(title: str, spent: dict[str, dict[str, float]]) -> Table:
    """Medians, 99th percentiles, and how many times as fast as `Booster.predict` that is."""
    reference = spent["booster_predict"]
    shown = Table("engine", "p50", "p99", "p50 x", "p99 x", "differs by", title=title)
    for column in shown.columns[1:]:
        column.justify = "right"
    for name, one in sorted(spent.items(), key=lambda pair: pair[1]["p50"]):
        ratios = [f"{reference[share] / one[share]:.2f}" for share in ("p50", "p99")]
        shown.add_row(name, f"{one['p50']:,.1f}", f"{one['p99']:,.1f}", *ratios, f"{one['max_abs_diff']:.1g}")
    return shown


def event_us(events: int) -> dict[str, float]:
    """What one event of the simulated shop costs, warm, until its cart has a score by the default model."""
    score = Model.load(default_model_folder()).score
    shoppers: dict[str, Folded] = {}
    spent = []
    for event in islice(training_log(seed=SEED), events + WARM_EVENTS):
        before = shoppers.get(event.shopper_id, Folded())
        began = time.perf_counter_ns()
        try:
            after = advanced(before, event)
        except BadEvent:
            continue
        if after.cart is not None:
            score(vector(after.features, after.cart, event.time))
            spent.append(time.perf_counter_ns() - began)
        shoppers[event.shopper_id] = after
    warm = sorted(spent[WARM_EVENTS // 2 :])
    return {name: warm[math.ceil(share * len(warm)) - 1] / 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}


if __name__ == "__main__":
    main()

"""How long scores wait while another model is loaded and takes over: `scoring.serving.Serving` under a scoring loop.

The models have 300 trees of 31 leaves. One thread scores without a pause; the other one finds the new pointer, loads,
proves and swaps. A stall is the time between two scores; beside it stands the longest one without any loading, which
is what the machine itself does. The last line is one JSON object.
"""

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from ringback.metrics import StreamMetrics
from ringback.scoring_settings import ScoringSettings
from scoring.features import FEATURES
from scoring.registry import Registry
from scoring.serving import Serving
from tests.scoring.models import make

RELOADS = 30
TREES = 300
ROWS = 20_000
WATCH_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
MS = 1000.0


@dataclass(frozen=True, slots=True)
class Stalls:
    """Milliseconds: the longest stall of all reloads and the median of each one's longest; the same without any."""

    worst: float
    usual: float
    idle_worst: float
    idle_usual: float
    reached_seconds: float


def main() -> None:
    """Run the benchmark."""
    stalls = measure()
    print(f"{RELOADS} reloads of {TREES} trees x 31 leaves while scores are asked for without a pause")
    print(f"  longest stall while reloading     {stalls.worst:6.2f} ms, usually {stalls.usual:.2f} ms")
    print(f"  longest stall of the idle machine {stalls.idle_worst:6.2f} ms, usually {stalls.idle_usual:.2f} ms")
    print(json.dumps({"reload_stall_ms": round(stalls.worst, 3), "without_ms": round(stalls.idle_worst, 3)}))


def reload_stall_ms(reloads: int = RELOADS) -> float:
    """The longest time between two scores while another model was loaded and took over, in milliseconds."""
    return measure(reloads).worst


def measure(reloads: int = RELOADS) -> Stalls:
    """Have two models take turns, ``reloads`` times."""
    with tempfile.TemporaryDirectory(prefix="rb-reload-") as folder:
        registry = Registry(Path(folder))
        versions = [make(registry.root, seed, ROWS, TREES) for seed in (1, 2)]
        registry.promote(versions[0], forced="benchmark")
        serving = Serving.start(ScoringSettings(models=registry.root, watch_every=WATCH_SECONDS), StreamMetrics())
        rows = np.random.default_rng(3).normal(size=(1000, len(FEATURES))).tolist()
        try:
            _loop(serving, rows, None)
            worst, idle, spans = [], [], []
            for number in range(reloads):
                version = versions[(number + 1) % 2]
                _point(registry.root, version)
                longest, span = _loop(serving, rows, version)
                worst.append(longest)
                spans.append(span)
                idle.append(_loop(serving, rows, None, span)[0])
        finally:
            serving.stop()
    return Stalls(max(worst) * MS, median(worst) * MS, max(idle) * MS, median(idle) * MS, max(spans))


def _point(root: Path, version: str) -> None:
    """What `ringback promote` does at last, from another process."""
    unfinished = root / ".new"
    unfinished.symlink_to(version)
    unfinished.replace(root / "current")


def _loop(serving: Serving, rows: list[list[float]], until: str | None, seconds: float = 0.2) -> tuple[float, float]:
    """Score until a version has taken over and two more looks have passed; the longest stall and the whole time."""
    score = serving.score
    began = last = time.perf_counter()
    end = began + (PATIENCE_SECONDS if until else seconds)
    longest, taken = 0.0, until is None
    while last < end:
        for row in rows:
            score(row)
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now
        if not taken and serving.live.current.version == until:
            # The model that was replaced is freed at the next look.
            taken, end = True, last + 2 * WATCH_SECONDS
    if not taken:
        raise TimeoutError(f"{until} did not take over")
    return longest, last - began


if __name__ == "__main__":
    main()

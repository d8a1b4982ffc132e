"""One interleaved run of engines that score LightGBM models; `benchmarks.scoring` starts it in its own environment.

    python -m benchmarks.scoring_engines --model model.txt --rows rows.npy --folder …

On each row all engines are asked once, in random order, so that each finds the caches as a stream worker would: full of
other things. Every engine but ours gets its rows in the form that suits it best, made beforehand; ours gets tuples, as
the features come. The last line is one JSON object. Compiled models are kept in ``--folder``.
"""

import argparse
import gc
import json
import math
import random
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from scoring.backends import Backend, best

SIZES = {1: 6000, 32: 300, 256: 60}
WARM_UP = 20
SEED = 7

Matrix = NDArray[np.float64]
Score = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine is asked: ``given`` is its form of some rows, ``score`` the timed call, ``taken`` its answers.

    ``package`` is whose version is told, after a word on it.
    """

    package: str
    given: Callable[[Matrix], Any]
    score: Score
    taken: Callable[[Any], Matrix]


def _flat(answer: Any) -> Matrix:
    return np.asarray(answer, dtype=np.float64).ravel()


def _of_backend(backend: Backend, package: str) -> Engine:
    one = backend.score

    def score(rows: Any) -> Any:
        return one(rows) if type(rows) is tuple else [one(row) for row in rows]

    def given(rows: Matrix) -> Any:
        tuples = [tuple(row) for row in rows.tolist()]
        return tuples[0] if len(tuples) == 1 else tuples

    return Engine(package, given, score, _flat)


def _ours(model: Path, columns: int, folder: Path) -> Engine:
    backend = best(lightgbm.Booster(model_file=str(model)))
    return _of_backend(backend, f"backend {backend.name}, lightgbm")


def _booster_predict(model: Path, columns: int, folder: Path) -> Engine:
    booster = lightgbm.Booster(model_file=str(model))
    return Engine("lightgbm", np.ascontiguousarray, lambda rows: booster.predict(rows, num_threads=1), _flat)


def _lleaves(model: Path, columns: int, folder: Path) -> Engine:
    compiled = import_module("lleaves").Model(model_file=str(model))
    compiled.compile(cache=str(folder / "lleaves.o"))
    return Engine("lleaves", np.ascontiguousarray, lambda rows: compiled.predict(rows, n_jobs=1), _flat)


def _treelite_gtil(model: Path, columns: int, folder: Path) -> Engine:
    loaded = import_module("treelite").frontend.load_lightgbm_model(model)
    gtil = import_module("treelite.gtil")
    return Engine("treelite", np.ascontiguousarray, lambda rows: gtil.predict(loaded, rows, nthread=1), _flat)


def _tl2cgen(model: Path, columns: int, folder: Path) -> Engine:
    tl2cgen, library = import_module("tl2cgen"), folder / "tl2cgen.so"
    if not library.exists():
        loaded = import_module("treelite").frontend.load_lightgbm_model(model)
        tl2cgen.export_lib(loaded, toolchain="gcc", libpath=str(library), params={"parallel_comp": 4})
    predictor = tl2cgen.Predictor(str(library), nthread=1)
    return Engine("tl2cgen", np.ascontiguousarray, lambda rows: predictor.predict(tl2cgen.DMatrix(rows)), _flat)


def _onnxruntime(model: Path, columns: int, folder: Path) -> Engine:
    runtime, tools = import_module("onnxruntime"), import_module("onnxmltools")
    types = import_module("onnxmltools.convert.common.data_types")
    graph = tools.convert_lightgbm(
        lightgbm.Booster(model_file=str(model)),
        initial_types=[("rows", types.FloatTensorType([None, columns]))],
        zipmap=False,
        target_opset=15,
    )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Engine(
        "onnxruntime",
        lambda rows: {"rows": rows.astype(np.float32)},
        lambda given: session.run(["probabilities"], given)[0],
        lambda answer: _flat(answer[:, 1]),
    )


ENGINES: dict[str, Callable[[Path, int, Path], Engine]] = {
    "ours": _ours,
    "booster_predict": _booster_predict,
    "lleaves": _lleaves,
    "treelite_gtil": _treelite_gtil,
    "tl2cgen": _tl2cgen,
    "onnxruntime": _onnxruntime,
}


def made(model: Path, columns: int, folder: Path) -> tuple[dict[str, Engine], dict[str, str]]:
    """The engines that work here, and why the others do not."""
    engines, missing = {}, {}
    for name, make in ENGINES.items():
        try:
            with redirect_stdout(sys.stderr):
                engines[name] = make(model, columns, folder)
        except Exception as error:  # noqa: BLE001 - whatever keeps a foreign package from working, it is left out
            missing[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return engines, missing


def interleaved(engines: dict[str, Engine], rows: Matrix, size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds a call with ``size`` rows, and the largest difference to `Booster.predict`, by engine."""
    order, rng = list(engines), random.Random(SEED)  # noqa: S311 - the same order in every run
    times: dict[str, list[int]] = {name: [] for name in order}
    apart = dict.fromkeys(order, 0.0)
    clock = time.perf_counter_ns
    for number in range(-WARM_UP, rounds):
        first = (number % (len(rows) // size)) * size
        some = rows[first : first + size]
        given = {name: engine.given(some) for name, engine in engines.items()}
        answers = {}
        rng.shuffle(order)
        for name in order:
            score, form = engines[name].score, given[name]
            began = clock()
            answer = score(form)
            spent = clock() - began
            answers[name] = engines[name].taken(answer)
            if number >= 0:
                times[name].append(spent)
        for name, answer in answers.items():
            apart[name] = max(apart[name], float(np.abs(answer - answers["booster_predict"]).max()))
    return {
        name: {"p50": _quantile(spent, 0.5), "p99": _quantile(spent, 0.99), "max_abs_diff": apart[name]}
        for name, spent in times.items()
    }


def _quantile(spent: list[int], share: float) -> float:
    return round(sorted(spent)[math.ceil(share * len(spent)) - 1] / 1000, 2)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def main() -> None:
    """Run all engines, and print what they took."""
    parser = argparse.ArgumentParser()
    for name in ("model", "rows", "folder"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    rows: Matrix = np.load(given.rows)
    engines, missing = made(given.model, rows.shape[1], given.folder)
    gc.collect()
    gc.freeze()
    sizes = {str(size): interleaved(engines, rows, size, rounds) for size, rounds in SIZES.items()}
    versions = {name: f"{engine.package} {_version(engine.package.split()[-1])}" for name, engine in engines.items()}
    print(json.dumps({"sizes": sizes, "missing": missing, "versions": versions}))


if __name__ == "__main__":
    main()

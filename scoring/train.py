"""Trains the intent model on a log and writes its folder. The same log and seed give the same model.txt."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import lightgbm
import msgspec
import numpy as np

from ringback.records import CartEvent
from scoring.evaluate import Metrics, evaluate
from scoring.features import FEATURES, VISIT_GAP_SECONDS, feature_hash
from scoring.manifest import MANIFEST, MODEL, DataSource, GoldenRow, Manifest, SplitReport, sha256
from scoring.rows import Rows, TrainingError, prefix_rows
from scoring.split import Mask, Split, split

HORIZON_SECONDS = 86400.0
MOST_TREES = 150
PATIENCE = 30
GOLDEN_ROWS = 8
PARAMETERS: dict[str, int | float | str | bool] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def train(
    events: Iterable[CartEvent],
    out: Path,
    *,
    horizon: float = HORIZON_SECONDS,
    gap: float = VISIT_GAP_SECONDS,
    seed: int = 7,
    source: str = "unnamed",
    licence: str = "unknown",
    uncovered: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Train on events in order of time, and write ``model.txt`` and ``manifest.json`` into the folder ``out``.

    ``horizon``, ``gap``, ``uncovered`` and ``progress`` are those of `scoring.rows.prefix_rows`. ``source`` and
    ``licence`` name the data in the manifest. The model is trained on the training rows only, so the manifest's metrics
    are of the very model that is written.

    Raises `TrainingError` where the log has too few buyers or is not in order of time.
    """
    rows = prefix_rows(events, horizon, gap, uncovered=uncovered, progress=progress)
    division = split(rows, horizon)
    _refuse_poor(rows, division)
    booster = _fit(rows, division, seed)
    text = booster.model_to_string(num_iteration=booster.best_iteration).encode()
    served = lightgbm.Booster(model_str=text.decode())
    scores = np.asarray(served.predict(rows.vectors, num_threads=1), dtype=np.float64)
    manifest = Manifest(
        version=f"intent-{sha256(text)[:12]}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        features=tuple(feature.name for feature in FEATURES),
        feature_hash=feature_hash(),
        files={MODEL: sha256(text)},
        data=DataSource(
            name=source,
            licence=licence,
            sha256=rows.sha256,
            events=rows.events,
            refused_events=rows.refused,
            shoppers=rows.shoppers,
            first=rows.first,
            last=rows.last,
        ),
        horizon=horizon,
        gap=gap,
        rows=len(rows),
        base_rate=float(rows.labels.mean()),
        split=SplitReport(
            kind=division.kind,
            train=int(division.train.sum()),
            stop=int(division.stop.sum()),
            test=int(division.test.sum()),
            boundary=division.boundary,
            embargo=division.embargo,
        ),
        metrics=_metrics(rows, division, scores),
        trees=served.num_trees(),
        parameters=PARAMETERS,
        lightgbm=lightgbm.__version__,
        seed=seed,
        golden=_golden(rows, division, scores),
    )
    _write(out, text, manifest)
    return manifest


def _refuse_poor(rows: Rows, division: Split) -> None:
    for name, part in (("training", division.train), ("early stopping", division.stop), ("test", division.test)):
        buyers, count = int(rows.labels[part].sum()), int(part.sum())
        if buyers in (0, count):
            raise TrainingError(
                f"{buyers} of {count} rows for {name} have a purchase after them: both kinds are needed. The log has "
                f"{rows.events} events of {rows.shoppers} shoppers over {(rows.last - rows.first) / 3600:.1f} hours; "
                "give a longer one, or a shorter horizon"
            )


def _fit(rows: Rows, division: Split, seed: int) -> lightgbm.Booster:
    names = [feature.name for feature in FEATURES]

    def data(part: Mask, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        return lightgbm.Dataset(
            rows.vectors[part], rows.labels[part].astype(np.float64), feature_name=names, reference=reference
        )

    training = data(division.train)
    return lightgbm.train(
        {**PARAMETERS, "seed": seed},
        training,
        num_boost_round=MOST_TREES,
        valid_sets=[data(division.stop, training)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )


def _metrics(rows: Rows, division: Split, scores: np.ndarray) -> dict[str, Metrics]:
    test = division.test
    trained = np.unique(rows.shopper[division.train | division.stop])
    slices = {"all": test, "due": test & rows.due, "new_shoppers": test & ~np.isin(rows.shopper, trained)}
    found = {name: evaluate(rows.labels[part], scores[part]) for name, part in slices.items()}
    return {name: metrics for name, metrics in found.items() if metrics is not None}


def _golden(rows: Rows, division: Split, scores: np.ndarray) -> tuple[GoldenRow, ...]:
    test = np.flatnonzero(division.test)
    chosen = test[np.linspace(0, len(test) - 1, min(GOLDEN_ROWS, len(test)), dtype=np.int64)]
    return tuple(
        GoldenRow(
            row=tuple(None if np.isnan(number) else float(number) for number in rows.vectors[row]),
            score=float(scores[row]),
        )
        for row in chosen
    )


def _write(out: Path, text: bytes, manifest: Manifest) -> None:
    """Both files, the manifest last: until it is there, the hashes of a half-written folder do not fit."""
    out.mkdir(parents=True, exist_ok=True)
    pretty = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    for name, content in ((MODEL, text), (MANIFEST, pretty)):
        unfinished = out / f".{name}.new"
        unfinished.write_bytes(content)
        unfinished.replace(out / name)

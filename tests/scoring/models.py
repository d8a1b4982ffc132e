"""Small models of the present features, made in a moment: what they say means nothing."""

from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np

from scoring.features import FEATURES, feature_hash
from scoring.manifest import MANIFEST, MODEL, DataSource, GoldenRow, Manifest, SplitReport, sha256

ROWS = 400
TREES = 20


def make(root: Path, seed: int, count: int = ROWS, trees: int = TREES, **changes: Any) -> str:
    """Write a model that can be served into a folder of versions; its version. ``changes`` are made to its manifest.

    Its ``trees`` of at most 31 leaves are grown on ``count`` rows of noise.
    """
    names = tuple(feature.name for feature in FEATURES)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, len(names)))
    labels = rows[:, seed % len(names)] + rng.normal(size=count) > 0
    parameters: dict[str, int | float | str | bool] = {"objective": "binary", "num_threads": 1, "verbosity": -1}
    data = lightgbm.Dataset(rows, labels.astype(np.float64), feature_name=list(names))
    booster = lightgbm.train({**parameters, "seed": seed}, data, num_boost_round=trees)
    text = booster.model_to_string().encode()
    scores = booster.predict(rows[:8])
    version = f"intent-{sha256(text)[:12]}"
    manifest = Manifest(
        version=version,
        created=f"2026-11-{seed % 28 + 1:02}T12:00:00+00:00",
        features=names,
        feature_hash=feature_hash(),
        files={MODEL: sha256(text)},
        data=DataSource(name="noise", sha256=sha256(rows.tobytes()), events=count, shoppers=count),
        rows=count,
        base_rate=float(labels.mean()),
        split=SplitReport(kind="by_shopper", train=count, stop=0, test=0),
        metrics={},
        trees=booster.num_trees(),
        parameters=parameters,
        lightgbm=lightgbm.__version__,
        seed=seed,
        golden=tuple(
            GoldenRow(row=tuple(row), score=float(score)) for row, score in zip(rows[:8].tolist(), scores, strict=True)
        ),
    )
    folder = root / version
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(text)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))
    return version


def edit(folder: Path, **changes: Any) -> None:
    """Change what a model's manifest says."""
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


def spoil(folder: Path) -> None:
    """Change a byte of a model's trees, and leave its manifest as it is."""
    text = (folder / MODEL).read_bytes()
    (folder / MODEL).write_bytes(text.replace(b"leaf_value=", b"leaf_value=9", 1))

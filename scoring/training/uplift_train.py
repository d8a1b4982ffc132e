"""Trains an uplift model on a trial and judges it by cross-fitting. The same trial and seed give the same model."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from scoring.dataset import Mask
from scoring.errors import TrainingError
from scoring.features import feature_hash
from scoring.judging.qini import Estimate, Floats, Name, estimates
from scoring.manifest import MANIFEST, GoldenRow, columns_hash, sha256
from scoring.training.trial import Trial
from scoring.uplift import Learner, Part, Uplift, UpliftManifest

FOLDS = 5
REPEATS = 3
TREES = 30
GOLDEN_ROWS = 8
# Small on purpose: an effect is a difference of two noisy shares, and larger trees learn the noise.
PARAMETERS: dict[str, int | float | str | bool] = {
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
RESPONSE, RANDOM = "response", "random"
TREATED = "treated.txt"


@dataclass(frozen=True, slots=True)
class Learnt:
    """Boosters by file name, with their weights in the uplift, and the model of P(buys | treated) it began with."""

    parts: tuple[tuple[str, float, lightgbm.Booster], ...]
    response: lightgbm.Booster

    def predict(self, vectors: Floats) -> Floats:
        """The uplift of each row."""
        total = np.zeros(len(vectors))
        for _, weight, booster in self.parts:
            total += weight * _predict(booster, vectors)
        return total


@dataclass(frozen=True, slots=True)
class Judged:
    """What rankings are worth on a trial: numbers by name, and by pair how much more Q the first has."""

    estimates: dict[str, dict[Name, Estimate]]
    differences: dict[tuple[str, str], Estimate]


def learn(trial: Trial, rows: Mask, learner: Learner, seed: int) -> Learnt:
    """Learn from these rows of a trial.

    The X-learner's effects are weighed by the share of the treated, as Künzel et al. do: the arm with more rows gives
    the better model of what would have been.
    """
    treated, untreated = rows & trial.treated, rows & ~trial.treated
    labels = trial.labels.astype(np.float64)
    buys = _fit(trial, treated, labels[treated], "binary", seed)
    buys_anyway = _fit(trial, untreated, labels[untreated], "binary", seed)
    if learner == "t":
        return Learnt(((TREATED, 1.0, buys), ("untreated.txt", -1.0, buys_anyway)), buys)
    of_treated = labels[treated] - _predict(buys_anyway, trial.vectors[treated])
    of_untreated = _predict(buys, trial.vectors[untreated]) - labels[untreated]
    share = float(trial.treated[rows].mean())
    return Learnt(
        (
            ("effect_on_untreated.txt", share, _fit(trial, untreated, of_untreated, "regression", seed)),
            ("effect_on_treated.txt", 1.0 - share, _fit(trial, treated, of_treated, "regression", seed)),
        ),
        buys,
    )


def _fit(trial: Trial, rows: Mask, labels: Floats, objective: str, seed: int) -> lightgbm.Booster:
    names = [column.name for column in trial.columns]
    data = lightgbm.Dataset(trial.vectors[rows], labels, feature_name=names)
    booster = lightgbm.train({**PARAMETERS, "objective": objective, "seed": seed}, data, num_boost_round=TREES)
    return lightgbm.Booster(model_str=booster.model_to_string())


def _predict(booster: lightgbm.Booster, vectors: Floats) -> Floats:
    return np.asarray(booster.predict(vectors, num_threads=1), dtype=np.float64)


def cross_fit(trial: Trial, seed: int, progress: Callable[[], None] | None = None) -> dict[str, Floats]:
    """Scores that no row's own label had a part in: rows x repetitions, for both learners, the response model, chance.

    Each repetition divides the shoppers anew into five parts, and each part is scored by models of the others.
    """
    scores = {name: np.zeros((len(trial), REPEATS)) for name in ("t", "x", RESPONSE)}
    for repeat in range(REPEATS):
        fold = folds(trial, np.random.default_rng((seed, repeat)))
        for part in range(FOLDS):
            held_out = fold == part
            for learner in ("t", "x"):
                learnt = learn(trial, ~held_out, learner, seed)
                scores[learner][held_out, repeat] = learnt.predict(trial.vectors[held_out])
            scores[RESPONSE][held_out, repeat] = _predict(learnt.response, trial.vectors[held_out])
            if progress is not None:
                progress()
    return scores | _at_random(trial)


def folds(trial: Trial, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each row its part, 0 to 4: shoppers stay whole, and arms and buyers are spread evenly."""
    groups = np.arange(len(trial)) if trial.groups is None else trial.groups
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    stratum = 2 * trial.treated[first] + trial.labels[first]
    order = np.lexsort((rng.random(len(first)), stratum))
    part = np.empty(len(first), dtype=np.int64)
    part[order] = np.arange(len(first)) % FOLDS
    return part[place]


def judge(trial: Trial, scores: dict[str, Floats], seed: int) -> Judged:
    """What rankings of a trial's rows are worth, with intervals."""
    return Judged(*estimates(trial.labels, trial.treated, scores, trial.groups, seed))


def train(
    trial: Trial,
    out: Path,
    *,
    label: str,
    learner: Learner = "x",
    seed: int = 7,
    progress: Callable[[], None] | None = None,
) -> UpliftManifest:
    """Judge both learners by cross-fitting, then learn from all rows and write the folder ``out/uplift-<hash>``.

    Columns that know the outcome are left out. ``progress`` is called after each of the 15 folds. Raises
    `TrainingError` where the trial can't teach anything.
    """
    trial.check()
    dropped = trial.outcomes()
    trial = trial.without(frozenset(dropped))
    judged = judge(trial, cross_fit(trial, seed, progress), seed)
    learnt = learn(trial, np.ones(len(trial), dtype=np.bool_), learner, seed)
    texts = {file: booster.model_to_string().encode() for file, _, booster in learnt.parts}
    version = f"uplift-{sha256(b''.join(texts[file] for file in sorted(texts)))[:12]}"
    texts[TREATED] = learnt.response.model_to_string().encode()
    manifest = UpliftManifest(
        kind="uplift",
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        rows_of=trial.kind,
        learner=learner,
        features=tuple(column.name for column in trial.columns),
        columns=trial.columns,
        feature_hash=feature_hash() if trial.kind == "log" else columns_hash(trial.columns),
        files={file: sha256(text) for file, text in texts.items()},
        parts=tuple(Part(file=file, weight=weight) for file, weight, _ in learnt.parts),
        response=TREATED,
        data=trial.source,
        arms=trial.arms,
        label=label,
        dropped=dropped,
        horizon=trial.horizon,
        rows=len(trial),
        treated=int(trial.treated.sum()),
        estimates=judged.estimates,
        gain=judged.differences[learner, RESPONSE],
        usable=judged.estimates[learner]["q"].clears_zero(),
        trees=sum(booster.num_trees() for _, _, booster in learnt.parts),
        parameters={**PARAMETERS, "trees": TREES},
        lightgbm=lightgbm.__version__,
        seed=seed,
        golden=_golden(trial, learnt),
    )
    _write(out, manifest, texts)
    return manifest


def evaluate(folder: Path, trial: Trial, seed: int) -> tuple[UpliftManifest, Judged]:
    """What a trained model is worth on another trial, beside the response model and chance.

    Of the rows that it was trained on, the numbers of its manifest are the honest ones: this would flatter it. Raises
    `ModelRefused`, and `TrainingError` for a trial with other columns.
    """
    model = Uplift.load(folder)
    manifest = model.manifest
    names = tuple(column.name for column in trial.columns)
    if names != manifest.features:
        raise TrainingError(
            f"{trial.source.name} has the columns {', '.join(names)}; {manifest.version} was trained on "
            f"{', '.join(manifest.features)}"
        )
    trial.check()
    response = lightgbm.Booster(model_str=model.text(manifest.response))
    scores = {
        manifest.learner: np.array([model.score(row) for row in trial.vectors])[:, np.newaxis],
        RESPONSE: _predict(response, trial.vectors)[:, np.newaxis],
    }
    return manifest, judge(trial, scores | _at_random(trial), seed)


def _at_random(trial: Trial) -> dict[str, Floats]:
    """What ranking at random comes to on average: rows of the same score have no order among themselves."""
    return {RANDOM: np.zeros((len(trial), 1))}


def _golden(trial: Trial, learnt: Learnt) -> tuple[GoldenRow, ...]:
    chosen = np.linspace(0, len(trial) - 1, GOLDEN_ROWS, dtype=np.int64)
    return tuple(
        GoldenRow(
            row=tuple(None if np.isnan(number) else float(number) for number in row),
            score=float(learnt.predict(row[np.newaxis])[0]),
        )
        for row in trial.vectors[chosen]
    )


def _write(out: Path, manifest: UpliftManifest, texts: dict[str, bytes]) -> None:
    """The whole folder or nothing: it is made under another name and then renamed."""
    out.mkdir(parents=True, exist_ok=True)
    pretty = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    final = out / manifest.version
    with TemporaryDirectory(prefix=".uplift-", dir=out) as unfinished:
        folder = Path(unfinished) / manifest.version
        folder.mkdir()
        for name, content in {**texts, MANIFEST: pretty}.items():
            (folder / name).write_bytes(content)
        if final.exists():
            # The same model again: only what its manifest says of the making differs.
            (folder / MANIFEST).replace(final / MANIFEST)
        else:
            folder.rename(final)

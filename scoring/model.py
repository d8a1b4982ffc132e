"""The intent model: from a feature vector to the probability that the shopper buys within the model's horizon."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightgbm

from ringback.errors import Misfit, ModelRefused
from scoring import manifest as manifests
from scoring.backends import Backend, best
from scoring.calibration import Calibration
from scoring.manifest import MODEL, GoldenRow, Manifest

# The sigmoid's last bit may differ from one C library to the next.
GOLDEN_TOLERANCE = 1e-9


def default_model_folder() -> Path:
    """The model that ships with Ringback, trained on the simulated shop by ``ringback train --synthetic``."""
    return Path(__file__).parent / "default_model"


@dataclass(frozen=True, slots=True)
class Served:
    """A score that is acted on, and what the shadow model and the uplift model, if any, made of the same row.

    ``model`` gave the score, and can tell why; a stand-in for models has none.
    """

    score: float
    version: str
    shadow_version: str | None = None
    shadow_score: float | None = None
    uplift: float | None = None
    model: "Model | None" = None


class Model:
    """A loaded model. Use one from one thread at a time."""

    def __init__(self, manifest: Manifest, backend: Backend, booster: lightgbm.Booster) -> None:
        self.manifest = manifest
        self.version = manifest.version
        self.booster = booster
        self.backend = backend.name
        self.raw: Callable[[Sequence[float]], float] = backend.score
        """LightGBM's own probability for one row, in the order of the manifest's ``features``."""
        self.score: Callable[[Sequence[float]], float] = _calibrated(backend.score, manifest.calibration)
        """The calibrated probability for one row. LightGBM's binary objective with early stopping is mostly calibrated
        as it is, and then this is `raw` itself; the manifest's ``ece`` says how well."""

    @classmethod
    def load(
        cls,
        folder: Path,
        backend: Callable[[lightgbm.Booster], Backend] = best,
        kind: Literal["log", "table"] | None = "log",
    ) -> "Model":
        """Load a model folder. ``kind`` is what it must be a model of, None for either: only a log's can be served.

        Raises `ModelRefused` where a file's hash, the features or the scores of the golden rows are not what the
        manifest says, or the model is of the other kind.
        """
        manifest, files = manifests.read(folder)
        if kind not in (None, manifest.kind):
            raise ModelRefused(
                f"{folder}: a model of a {manifest.kind}, not of a {kind}: only a model that was trained with --log "
                "can score carts, and only one that was trained with --table a table's rows",
                Misfit.FEATURES,
            )
        booster = _booster(files[MODEL], folder)
        if booster.num_feature() != len(manifest.features) or tuple(booster.feature_name()) != manifest.features:
            raise ModelRefused(
                f"{folder / MODEL} has other features than its manifest: train the model again", Misfit.FOREIGN
            )
        model = cls(manifest, backend(booster), booster)
        model._prove(manifest.golden, folder)
        return model

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        """The score to be acted on: of a model alone, its own for everybody."""
        return Served(self.score(row), self.version, model=self)

    def _prove(self, golden: Iterable[GoldenRow], folder: Path) -> None:
        for expected in golden:
            row = tuple(math.nan if number is None else number for number in expected.row)
            if len(row) != len(self.manifest.features):
                raise ModelRefused(
                    f"{folder}: a golden row has {len(row)} numbers: train the model again", Misfit.GOLDEN_ROWS
                )
            score = self.score(row)
            if not abs(score - expected.score) <= GOLDEN_TOLERANCE:
                raise ModelRefused(
                    f"{folder}: a golden row scores {score!r} here and {expected.score!r} where the model was trained: "
                    f"LightGBM {lightgbm.__version__} does not read this model of {self.manifest.lightgbm}",
                    Misfit.GOLDEN_ROWS,
                )


def _calibrated(
    raw: Callable[[Sequence[float]], float], calibration: Calibration
) -> Callable[[Sequence[float]], float]:
    """The scores after calibration; without one there is no call in between."""
    if calibration.kind == "none":
        return raw
    apply = calibration.apply
    return lambda row: apply(raw(row))


def _booster(text: bytes, folder: Path) -> lightgbm.Booster:
    if b"\nobjective=binary" not in text:
        raise ModelRefused(
            f"{folder / MODEL} is not trained for a binary objective: its scores are no probabilities", Misfit.FOREIGN
        )
    try:
        return lightgbm.Booster(model_str=text.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise ModelRefused(
            f"{folder / MODEL} is no LightGBM model ({error}): train the model again", Misfit.FOREIGN
        ) from None

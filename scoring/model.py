"""The intent model: from a feature vector to the probability that the shopper buys within the model's horizon."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lightgbm

from ringback.errors import ModelRefused
from scoring import manifest as manifests
from scoring.backends import Backend, best
from scoring.manifest import MODEL, GoldenRow, Manifest

# The sigmoid's last bit may differ from one C library to the next.
GOLDEN_TOLERANCE = 1e-9


def default_model_folder() -> Path:
    """The model that ships with Ringback, trained on the simulated shop by ``ringback train --synthetic``."""
    return Path(__file__).parent / "default_model"


class Model:
    """A loaded model. Use one from one thread at a time."""

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self.version = manifest.version
        self.backend = backend.name
        self.score: Callable[[Sequence[float]], float] = backend.score
        """The probability for one row, in the order of `scoring.features.FEATURES`. LightGBM's binary objective with
        early stopping is calibrated as it is; the manifest's ``ece`` says how well."""

    @classmethod
    def load(cls, folder: Path, backend: Callable[[lightgbm.Booster], Backend] = best) -> "Model":
        """Load a model folder.

        Raises `ModelRefused` where a file's hash, the features or the scores of the golden rows are not what the
        manifest says.
        """
        manifest, files = manifests.read(folder)
        booster = _booster(files[MODEL], folder)
        if booster.num_feature() != len(manifest.features) or tuple(booster.feature_name()) != manifest.features:
            raise ModelRefused(f"{folder / MODEL} has other features than its manifest: train the model again")
        model = cls(manifest, backend(booster))
        model._prove(manifest.golden, folder)
        return model

    def score_batch(self, rows: Iterable[Sequence[float]]) -> list[float]:
        """The probability for each row. A loop over `score`: LightGBM gains nothing from batches of this size."""
        score = self.score
        return [score(row) for row in rows]

    def _prove(self, golden: Iterable[GoldenRow], folder: Path) -> None:
        for expected in golden:
            row = tuple(math.nan if number is None else number for number in expected.row)
            if len(row) != len(self.manifest.features):
                raise ModelRefused(f"{folder}: a golden row has {len(row)} numbers: train the model again")
            score = self.score(row)
            if not abs(score - expected.score) <= GOLDEN_TOLERANCE:
                raise ModelRefused(
                    f"{folder}: a golden row scores {score!r} here and {expected.score!r} where the model was trained: "
                    f"LightGBM {lightgbm.__version__} does not read this model of {self.manifest.lightgbm}"
                )


def _booster(text: bytes, folder: Path) -> lightgbm.Booster:
    if b"\nobjective=binary" not in text:
        raise ModelRefused(f"{folder / MODEL} is not trained for a binary objective: its scores are no probabilities")
    try:
        return lightgbm.Booster(model_str=text.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise ModelRefused(f"{folder / MODEL} is no LightGBM model ({error}): train the model again") from None

"""The uplift model: how much a contact adds to the probability that a shopper buys.

A T-learner (two models of buying, one for each arm) or an X-learner (models of the effect itself; Künzel et al., PNAS
2019) on LightGBM. It is used only where its Q clears zero beyond chance: where it does not, ranking by it is no better
than ranking at random.
"""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import lightgbm
import msgspec

from ringback.errors import Misfit, ModelRefused
from ringback.records import Record
from scoring.backends import best
from scoring.dataset import Column
from scoring.features import FEATURES, feature_hash
from scoring.judging.qini import Estimate, Name
from scoring.manifest import MANIFEST, DataSource, GoldenRow, columns_hash, sha256

log = logging.getLogger(__name__)

GOLDEN_TOLERANCE = 1e-9
DECIDED = "decided"
Learner = Literal["t", "x"]


class Arms(Record, frozen=True, kw_only=True):
    """What tells the arms apart: a column of a table and its values, or of a log what was decided."""

    column: str = DECIDED
    treated: str = "1"
    control: str = "0"
    is_number: bool = False

    def as_column(self) -> Column:
        """The table's column, as it is to be read."""
        if self.is_number:
            return Column(name=self.column)
        return Column(name=self.column, kind="category", levels=(self.control, self.treated))


class Part(Record, frozen=True, kw_only=True):
    """A booster of an uplift model: the uplift is the sum of ``weight`` x what each says."""

    file: str
    weight: float


class UpliftManifest(Record, frozen=True, kw_only=True):
    """Everything about an uplift model but its trees.

    ``response`` is the file of a model of P(buys | treated) that was trained on the same rows, to be compared with.
    ``estimates`` are of cross-fitted scores, by learner (``t``, ``x``) and beside the same for ranking by the response
    model P(buys | treated) and at random (``response``, ``random``). ``gain`` is how much more Q the learner has than
    the response model. ``effect`` of any of them is the trial's: the difference of the arms' shares.
    ``dropped`` are columns that are no features, and why.
    """

    version: str
    created: str
    kind: Literal["uplift"]
    rows_of: Literal["log", "table"]
    learner: Learner
    features: tuple[str, ...]
    columns: tuple[Column, ...]
    feature_hash: str
    files: dict[str, str]
    parts: tuple[Part, ...]
    response: str
    data: DataSource
    arms: Arms
    label: str
    dropped: dict[str, str]
    horizon: float | None
    rows: int
    treated: int
    estimates: dict[str, dict[Name, Estimate]]
    gain: Estimate
    usable: bool
    trees: int
    parameters: dict[str, int | float | str | bool]
    lightgbm: str
    seed: int
    golden: tuple[GoldenRow, ...]

    def verdict(self) -> str:
        """Whether it may be used, and why, in one sentence."""
        q = self.estimates[self.learner]["q"]
        interval = f"Q {q.value * 1e4:.1f}e-4, 95 % interval {q.low * 1e4:.1f}e-4 to {q.high * 1e4:.1f}e-4"
        if self.usable:
            return f"used: its interval clears zero ({interval})"
        return f"not used: its interval does not clear zero ({interval}); the stated prior lift is used instead"


class Uplift:
    """A loaded uplift model. Use one from one thread at a time."""

    def __init__(self, manifest: UpliftManifest, files: dict[str, str]) -> None:
        self.manifest = manifest
        self.version = manifest.version
        self._files = files
        self._parts: list[tuple[float, Callable[[Sequence[float]], float]]] = [
            (part.weight, best(lightgbm.Booster(model_str=files[part.file])).score) for part in manifest.parts
        ]

    @classmethod
    def load(cls, folder: Path) -> "Uplift":
        """Load an uplift model's folder, usable or not.

        Raises `ModelRefused` where a hash, the features or the golden rows are not what the manifest says.
        """
        manifest, files = _read(folder)
        try:
            model = cls(manifest, files)
        except lightgbm.basic.LightGBMError as error:
            raise ModelRefused(
                f"{folder}: a file is no LightGBM model ({error}): train it again", Misfit.FOREIGN
            ) from None
        for golden in manifest.golden:
            score = model.score([math.nan if number is None else number for number in golden.row])
            if not abs(score - golden.score) <= GOLDEN_TOLERANCE:
                raise ModelRefused(
                    f"{folder}: a golden row scores {score!r} here and {golden.score!r} where the model was trained: "
                    f"LightGBM {lightgbm.__version__} does not read this model of {manifest.lightgbm}",
                    Misfit.GOLDEN_ROWS,
                )
        return model

    def text(self, file: str) -> str:
        """A file of the folder, as it was when its hash was checked."""
        return self._files[file]

    def score(self, row: Sequence[float]) -> float:
        """The uplift for one row: a difference of probabilities, from -1 to 1."""
        return sum(weight * score(row) for weight, score in self._parts)


def load_uplift(folder: Path) -> Uplift | None:
    """The uplift model of a folder that may decide about due carts; None where its interval does not clear zero.

    Raises `ModelRefused` where the folder is broken, or of a table's trial: such a model can't score carts.
    """
    model = Uplift.load(folder)
    if model.manifest.rows_of != "log":
        raise ModelRefused(
            f"{folder}: an uplift model of a table can't score carts: train one with --log", Misfit.FEATURES
        )
    log.info("uplift model %s is %s", model.version, model.manifest.verdict())
    return model if model.manifest.usable else None


def is_uplift(folder: Path) -> bool:
    """Whether a folder of models holds an uplift model, not an intent model."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Kind).kind == "uplift"
    except (OSError, msgspec.MsgspecError):
        return False


class _Kind(msgspec.Struct):
    kind: str = ""


def _read(folder: Path) -> tuple[UpliftManifest, dict[str, str]]:
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=UpliftManifest)
        files = {name: (folder / Path(name).name).read_bytes() for name in manifest.files}
    except OSError as error:
        raise ModelRefused(f"{error.filename} can't be read ({error.strerror}): copy the whole model folder") from None
    except msgspec.MsgspecError as error:
        raise ModelRefused(f"{folder / MANIFEST} is no uplift model's manifest ({error}): train it again") from None
    for name, content in files.items():
        if sha256(content) != manifest.files[name]:
            raise ModelRefused(
                f"{folder / name} is not the file of its manifest: copy the model folder again", Misfit.CHANGED
            )
    if not {manifest.response, *(part.file for part in manifest.parts)} <= files.keys():
        raise ModelRefused(f"{folder / MANIFEST} lists too few files: train it again")
    is_table = manifest.rows_of == "table"
    names = manifest.features if is_table else tuple(feature.name for feature in FEATURES)
    expected = columns_hash(manifest.columns) if is_table else feature_hash()
    if (manifest.features, manifest.feature_hash) != (names, expected):
        raise ModelRefused(
            f"{folder}: the uplift model's features (hash {manifest.feature_hash[:12]}) are not this version's "
            f"({expected[:12]}): train it again",
            Misfit.FEATURES,
        )
    if any(len(golden.row) != len(names) for golden in manifest.golden):
        raise ModelRefused(f"{folder / MANIFEST}: a golden row has another length: train it again", Misfit.GOLDEN_ROWS)
    return manifest, {name: content.decode() for name, content in files.items()}

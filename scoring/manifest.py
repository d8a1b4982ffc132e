"""What a model folder says of itself, and the check that it is true.

A model is a folder: ``model.txt`` (LightGBM's text form), ``calibration.json`` and ``manifest.json``. Nothing in it is
ever executed.
"""

import hashlib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import field

from ringback.errors import Misfit, ModelRefused
from ringback.records import Record
from scoring.calibration import CALIBRATION, Calibration
from scoring.dataset import Column
from scoring.drift.psi import Reference
from scoring.features import FEATURES, feature_hash
from scoring.judging.metrics import Intervals, Metrics

MANIFEST = "manifest.json"
MODEL = "model.txt"


class DataSource(Record, frozen=True, kw_only=True):
    """What the model was trained on.

    ``sha256`` is of the events' wire form, or of the table's file. ``events`` counts events, or rows of a table;
    ``left_out`` counts, by reason, what was read and not used. ``first`` and ``last`` are epoch seconds. ``share`` is
    the part of the shoppers who made the rows, where there were too many. ``served`` counts the rows whose vectors are
    those that decisions logged, ``differing`` those of them which a replay of the log gives otherwise.
    """

    name: str
    licence: str = "unknown"
    sha256: str
    events: int
    refused_events: int = 0
    shoppers: int
    first: float | None = None
    last: float | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    share: float = 1.0
    served: int = 0
    differing: int = 0


class TableColumns(Record, frozen=True, kw_only=True):
    """Which columns of a table are no features. ``order`` numbers the visits of a group; ``dropped`` says why each."""

    label: str
    group: str | None = None
    time: str | None = None
    order: str | None = None
    dropped: dict[str, str] = field(default_factory=dict)


class SplitReport(Record, frozen=True, kw_only=True):
    """How the rows were divided. ``forward``: trained on the past, tested on the future; ``boundary`` lies between.

    Rows within ``embargo`` seconds before the boundary are left out, because their labels look across it; so are rows
    of shoppers who belong to the other side: ``left_out`` counts both. ``stop`` counts the training rows that were held
    out once, in ``folds`` parts, to tell when to stop and how to calibrate; the model itself was fitted on all of
    ``train``.
    """

    kind: str
    train: int
    stop: int
    test: int
    folds: int = 1
    left_out: int = 0
    boundary: float | None = None
    embargo: float | None = None


class GoldenRow(Record, frozen=True, kw_only=True):
    """A row and the score that it must get; None stands for NaN."""

    row: tuple[float | None, ...]
    score: float


class ReliabilityBin(Record, frozen=True, kw_only=True):
    """A fifteenth of the test rows by score: what was promised, and what came."""

    rows: int
    score: float
    outcome: float


class Manifest(Record, frozen=True, kw_only=True):
    """Everything about a model but its trees.

    ``horizon`` is the span of the label in seconds: bought within it. A model of a ``log`` can be served, one of a
    ``table`` can only be judged. ``metrics`` are of the test rows by slice: ``all``; ``due``, those at the moment of
    abandonment; ``new_shoppers``, those of shoppers not seen in training; ``intervals`` are theirs. ``thresholds`` are
    the scores from which on a test row is among the best tenth and so on. ``reference`` are the bins of the training
    rows that drift is measured against. ``parent`` is the version that was current then. ``code`` is Ringback's
    version, with its commit where it is known.
    """

    version: str
    created: str
    kind: Literal["log", "table"] = "log"
    features: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    feature_hash: str
    files: dict[str, str]
    data: DataSource
    table: TableColumns | None = None
    horizon: float | None = None
    gap: float | None = None
    rows: int
    base_rate: float
    split: SplitReport
    metrics: dict[str, Metrics]
    intervals: dict[str, Intervals] = field(default_factory=dict)
    reliability: tuple[ReliabilityBin, ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)
    calibration: Calibration = Calibration()
    leak_ceiling: float | None = None
    reference: tuple[Reference, ...] = ()
    parent: str | None = None
    trees: int
    best_iterations: tuple[int, ...] = ()
    parameters: dict[str, int | float | str | bool]
    lightgbm: str
    code: str = ""
    seed: int
    golden: tuple[GoldenRow, ...]


def sha256(content: bytes) -> str:
    """The hash used in manifests, in hex."""
    return hashlib.sha256(content).hexdigest()


def columns_hash(columns: tuple[Column, ...]) -> str:
    """A table's stand-in for `scoring.features.feature_hash`: over names, kinds and levels in their order."""
    return sha256(msgspec.json.encode(columns))


def read(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Read a model folder and check every hash; returns the manifest and the files' bytes that were checked.

    Raises `ModelRefused`, which says what differs and what to do.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise ModelRefused(f"{folder / MANIFEST} can't be read ({error.strerror}): give a model folder") from None
    except msgspec.MsgspecError as error:
        raise ModelRefused(f"{folder / MANIFEST} is no manifest ({error}): train the model again") from None
    names = tuple(feature.name for feature in FEATURES)
    if manifest.kind == "table":
        names = tuple(column.name for column in manifest.columns)
    expected = feature_hash() if manifest.kind == "log" else columns_hash(manifest.columns)
    if manifest.features != names or manifest.feature_hash != expected:
        raise ModelRefused(
            f"{folder}: the model's features (hash {manifest.feature_hash[:12]}) are not this version's "
            f"({expected[:12]}): train the model again",
            Misfit.FEATURES,
        )
    if MODEL not in manifest.files:
        raise ModelRefused(f"{folder / MANIFEST} lists no {MODEL}: train the model again")
    files = {name: _checked(folder, name, digest) for name, digest in manifest.files.items()}
    _check_calibration(folder, manifest, files)
    return manifest, files


def _check_calibration(folder: Path, manifest: Manifest, files: dict[str, bytes]) -> None:
    if CALIBRATION not in files:
        stored = Calibration()
    else:
        try:
            stored = msgspec.json.decode(files[CALIBRATION], type=Calibration)
        except msgspec.MsgspecError as error:
            raise ModelRefused(f"{folder / CALIBRATION} is no calibration ({error}): train the model again") from None
    if stored != manifest.calibration:
        raise ModelRefused(f"{folder / CALIBRATION} is not the calibration of its manifest: train the model again")


def _checked(folder: Path, name: str, expected: str) -> bytes:
    if Path(name).name != name:
        raise ModelRefused(f"{folder / MANIFEST} names {name!r}, which is not a file of that folder")
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelRefused(f"{folder / name} can't be read ({error.strerror}): copy the whole model folder") from None
    if sha256(content) != expected:
        raise ModelRefused(
            f"{folder / name} has sha256 {sha256(content)[:12]}…, its manifest says {expected[:12]}…: "
            "the file was changed or cut; copy the model folder again",
            Misfit.CHANGED,
        )
    return content

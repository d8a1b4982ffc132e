"""What a model folder says of itself, and the check that it is true.

A model is a folder: ``model.txt`` (LightGBM's text form) and ``manifest.json``. Nothing in it is ever executed.
"""

import hashlib
from pathlib import Path

import msgspec

from ringback.errors import ModelRefused
from ringback.records import Record
from scoring.evaluate import Metrics
from scoring.features import FEATURES, feature_hash

MANIFEST = "manifest.json"
MODEL = "model.txt"


class DataSource(Record, frozen=True, kw_only=True):
    """What the model was trained on. ``sha256`` is of the events' wire form; times are epoch seconds."""

    name: str
    licence: str
    sha256: str
    events: int
    refused_events: int
    shoppers: int
    first: float
    last: float


class SplitReport(Record, frozen=True, kw_only=True):
    """How the rows were divided. ``forward``: trained on the past, tested on the future; ``boundary`` lies between.

    Rows within ``embargo`` seconds before the boundary are left out, because their labels look across it.
    """

    kind: str
    train: int
    stop: int
    test: int
    boundary: float | None = None
    embargo: float | None = None


class GoldenRow(Record, frozen=True, kw_only=True):
    """A row and the score that it must get; None stands for NaN."""

    row: tuple[float | None, ...]
    score: float


class Manifest(Record, frozen=True, kw_only=True):
    """Everything about a model but its trees.

    ``horizon`` is the span of the label in seconds: bought within it. ``metrics`` are of the test rows by slice:
    ``all``; ``due``, those at the moment of abandonment; ``new_shoppers``, those of shoppers not seen in training.
    """

    version: str
    created: str
    features: tuple[str, ...]
    feature_hash: str
    files: dict[str, str]
    data: DataSource
    horizon: float
    gap: float
    rows: int
    base_rate: float
    split: SplitReport
    metrics: dict[str, Metrics]
    trees: int
    parameters: dict[str, int | float | str | bool]
    lightgbm: str
    seed: int
    golden: tuple[GoldenRow, ...]


def sha256(content: bytes) -> str:
    """The hash used in manifests, in hex."""
    return hashlib.sha256(content).hexdigest()


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
    if manifest.features != names or manifest.feature_hash != feature_hash():
        raise ModelRefused(
            f"{folder}: the model's features (hash {manifest.feature_hash[:12]}) are not this version's "
            f"({feature_hash()[:12]}): train the model again"
        )
    if MODEL not in manifest.files:
        raise ModelRefused(f"{folder / MANIFEST} lists no {MODEL}: train the model again")
    return manifest, {name: _checked(folder, name, expected) for name, expected in manifest.files.items()}


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
            "the file was changed or cut; copy the model folder again"
        )
    return content

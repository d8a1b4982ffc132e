"""The model folder: training is reproducible, loading refuses what does not fit, both backends give the same bits."""

import gc
import math
import shutil
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest

from ringback.errors import ModelRefused
from ringback.records import CartEvent
from scoring.backends import FastBackend, PortableBackend, best
from scoring.calibration import CALIBRATION
from scoring.data.rows import prefix_rows
from scoring.features import FEATURES, feature_hash
from scoring.judging.metrics import auc, calibration_error
from scoring.manifest import MANIFEST, MODEL, Manifest, sha256
from scoring.model import Model, default_model_folder
from simulation.shop import training_log
from tests.scoring.trained import train_on

LARGEST_DEFAULT_MODEL_BYTES = 500_000


@pytest.fixture(scope="module")
def sample() -> list[CartEvent]:
    return list(training_log(shoppers=600, days=14, seed=1))


@pytest.fixture(scope="module")
def trained(sample: list[CartEvent], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train_on(sample, folder, seed=1)
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def rows(count: int) -> list[tuple[float, ...]]:
    """Rows as odd as can be: missing, huge, tiny, negative."""
    rng = np.random.default_rng(3)
    shape = (count, len(FEATURES))
    odd = rng.choice([math.nan, 0.0, -1.0, 1e12, 1e-12, math.inf], shape)
    numbers = np.where(rng.random(shape) < 0.2, odd, rng.lognormal(2, 2, shape))
    return [tuple(row) for row in numbers.tolist()]


def test_both_backends_give_the_same_bits(trained: Path) -> None:
    fast = Model.load(trained, FastBackend)
    portable = Model.load(trained, PortableBackend)
    odd = rows(500)
    scores = [fast.score(row) for row in odd]
    assert scores == [portable.score(row) for row in odd]
    assert all(0 <= score <= 1 for score in scores)
    assert len(set(scores)) > 100


def test_the_fastest_backend_is_the_usual_one(trained: Path) -> None:
    assert Model.load(trained).backend == FastBackend.name


@pytest.mark.parametrize("name", ["LGBM_BoosterPredictForMatSingleRowFast", "LGBM_FastConfigFree"])
def test_without_the_private_names_the_portable_backend_serves(
    trained: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class OlderLibrary:
        def __getattr__(self, asked: str) -> Any:
            if asked == name:
                raise AttributeError(asked)
            return getattr(library, asked)

    library = vars(lightgbm.basic)["_LIB"]
    served = Model.load(trained)
    expected = [served.score(row) for row in rows(5)]
    monkeypatch.setattr(lightgbm.basic, "_LIB", OlderLibrary())
    model = Model.load(trained, best)
    assert model.backend == PortableBackend.name
    assert [model.score(row) for row in rows(5)] == expected


@pytest.mark.parametrize("length", [0, len(FEATURES) - 1, len(FEATURES) + 1])
def test_a_row_of_another_length_is_an_error_and_never_read_past(trained: Path, length: int) -> None:
    with pytest.raises(ValueError, match="sequence of same size"):
        Model.load(trained, FastBackend).score([1.0] * length)


def test_a_score_outlives_the_model_that_it_came_from(trained: Path) -> None:
    row = rows(1)[0]
    model = Model.load(trained)
    score, expected = model.score, model.score(row)
    del model
    gc.collect()
    assert score(row) == expected


def _edit(folder: Path, **changes: Any) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


def test_a_changed_byte_is_refused(copy: Path) -> None:
    text = (copy / MODEL).read_bytes()
    (copy / MODEL).write_bytes(text.replace(b"leaf_value=0", b"leaf_value=1", 1))
    with pytest.raises(ModelRefused, match=r"model\.txt has sha256 .* its manifest says"):
        Model.load(copy)


def test_other_features_are_refused(copy: Path) -> None:
    _edit(copy, feature_hash="0" * 64)
    with pytest.raises(ModelRefused, match=r"features .* are not this version's"):
        Model.load(copy)


def test_features_in_another_order_are_refused(copy: Path) -> None:
    _edit(copy, features=tuple(reversed([feature.name for feature in FEATURES])))
    with pytest.raises(ModelRefused, match="train the model again"):
        Model.load(copy)


def test_scores_that_are_not_those_of_training_are_refused(copy: Path) -> None:
    golden = Model.load(copy).manifest.golden
    wrong = msgspec.structs.replace(golden[0], score=golden[0].score + 0.001)
    _edit(copy, golden=(wrong, *golden[1:]))
    with pytest.raises(ModelRefused, match="a golden row scores"):
        Model.load(copy)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "a/b"])
def test_a_manifest_can_name_only_files_of_its_folder(copy: Path, name: str) -> None:
    _edit(copy, files={**Model.load(copy).manifest.files, name: "0" * 64})
    with pytest.raises(ModelRefused, match="not a file of that folder"):
        Model.load(copy)


def _replace_model(folder: Path, text: bytes) -> None:
    (folder / MODEL).write_bytes(text)
    _edit(folder, files={MODEL: sha256(text)})


def test_a_regression_model_is_refused(copy: Path) -> None:
    _replace_model(copy, (copy / MODEL).read_bytes().replace(b"objective=binary sigmoid:1", b"objective=regression"))
    with pytest.raises(ModelRefused, match="not trained for a binary objective"):
        Model.load(copy)


def test_a_model_of_other_columns_is_refused(copy: Path) -> None:
    _replace_model(copy, (copy / MODEL).read_bytes().replace(b"cart_views", b"cart_vibes"))
    with pytest.raises(ModelRefused, match="other features than its manifest"):
        Model.load(copy)


@pytest.mark.parametrize("missing", [MANIFEST, MODEL])
def test_a_missing_file_is_refused(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(ModelRefused, match=rf"{missing} can't be read"):
        Model.load(copy)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"version": 1}'])
def test_a_broken_manifest_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ModelRefused, match="is no manifest"):
        Model.load(copy)


def test_the_default_model_is_whole_and_small() -> None:
    model = Model.load(default_model_folder())
    assert model.manifest.feature_hash == feature_hash()
    assert model.manifest.data.licence == "Apache-2.0"
    files = [(default_model_folder() / name).read_bytes() for name in (MODEL, CALIBRATION)]
    assert model.version == f"intent-{sha256(b''.join(files))[:12]}"
    assert (default_model_folder() / MODEL).stat().st_size < LARGEST_DEFAULT_MODEL_BYTES


def test_the_default_model_ranks_shoppers_it_never_saw() -> None:
    """And not too well: a simulated shop in which buyers give themselves away would show nothing."""
    model = Model.load(default_model_folder())
    horizon = model.manifest.horizon
    assert horizon is not None
    others = prefix_rows(training_log(shoppers=1500, days=14, seed=99), horizon)
    scores = np.array([model.score(row) for row in others.vectors.tolist()])
    for part, most in ((np.ones(len(others), dtype=np.bool_), 0.82), (others.due, 0.75)):
        assert 0.62 < auc(others.labels[part], scores[part]) < most
        assert calibration_error(others.labels[part], scores[part]) < 0.05

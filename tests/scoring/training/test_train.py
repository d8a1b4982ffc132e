"""Training: the same data gives the same model, what is written is whole, and what leaks is not written at all."""

import json
from dataclasses import replace
from pathlib import Path

import lightgbm
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from ringback.cli import app
from ringback.records import CartEvent, EventKind
from scoring.calibration import CALIBRATION
from scoring.data.split import split
from scoring.errors import TrainingError
from scoring.features import feature_hash
from scoring.judging.metrics import evaluate
from scoring.manifest import MANIFEST, MODEL, columns_hash, sha256
from scoring.model import Model
from scoring.training.fit import MOST_SERVED_TREES, budget
from scoring.training.leaks import LeakFound
from scoring.training.train import Options, train
from simulation.shop import training_log
from tests.scoring.events import Log
from tests.scoring.trained import noisy, train_on

runner = CliRunner()


@pytest.fixture(scope="module")
def sample() -> list[CartEvent]:
    return list(training_log(shoppers=600, days=14, seed=1))


@pytest.fixture(scope="module")
def trained(sample: list[CartEvent], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "one"
    train_on(sample, folder, seed=1)
    return folder


def test_the_same_log_and_seed_give_the_same_model(sample: list[CartEvent], trained: Path, tmp_path: Path) -> None:
    again = train_on(iter(sample), tmp_path / "again", seed=1)
    first = Model.load(trained).manifest
    assert (tmp_path / "again" / MODEL).read_bytes() == (trained / MODEL).read_bytes()
    assert msgspec.structs.replace(again, created=first.created) == first
    other = train_on(sample, tmp_path / "other", seed=2)
    assert other.version != first.version


def test_the_manifest_says_what_the_model_is(sample: list[CartEvent], trained: Path) -> None:
    model = Model.load(trained)
    manifest = model.manifest
    assert manifest.files == {name: sha256((trained / name).read_bytes()) for name in (MODEL, CALIBRATION)}
    assert manifest.feature_hash == feature_hash()
    assert (manifest.kind, manifest.data.events, manifest.split.kind) == ("log", len(sample), "forward")
    assert manifest.split.embargo == manifest.horizon == 86400.0
    assert 0 < manifest.base_rate < 1
    assert {"all", "due"} == manifest.metrics.keys() == manifest.intervals.keys()
    for name, (low, high) in manifest.intervals["all"].items():
        assert low <= getattr(manifest.metrics["all"], name) <= high
    assert manifest.trees == model.booster.num_trees() <= MOST_SERVED_TREES
    assert len(manifest.best_iterations) == manifest.split.folds == 5
    assert manifest.split.stop == manifest.split.train
    assert manifest.rows == manifest.split.train + manifest.split.test + manifest.split.left_out
    assert len(manifest.reference) == len(manifest.features) + 1
    assert sum(one.rows for one in manifest.reliability) == pytest.approx(manifest.split.test, abs=15)
    assert manifest.thresholds["top_10"] > manifest.thresholds["top_30"]
    assert sorted(path.name for path in trained.iterdir()) == [CALIBRATION, MANIFEST, MODEL]


def test_the_metrics_are_of_the_very_model_on_rows_that_it_did_not_see(tmp_path: Path) -> None:
    data = noisy()
    manifest = train(data, tmp_path)
    model = Model.load(tmp_path / manifest.version, kind="table")
    test = split(data).test
    scores = np.array([model.score(row) for row in data.vectors[test].tolist()])
    measured = evaluate(data.labels[test], scores)
    assert measured is not None
    assert measured.log_loss == pytest.approx(manifest.metrics["all"].log_loss)
    assert measured.auc == pytest.approx(manifest.metrics["all"].auc)
    assert manifest.feature_hash == columns_hash(data.columns)


def test_the_test_rows_do_not_change_the_model(tmp_path: Path) -> None:
    data = noisy()
    test = split(data).test
    other = replace(data, labels=data.labels ^ (test & (np.arange(len(data)) % 3 == 0)))
    one, two = train(data, tmp_path / "one"), train(other, tmp_path / "two")
    assert one.version == two.version
    assert one.metrics != two.metrics


def test_a_calibrated_model_is_read_back_with_its_curve(tmp_path: Path) -> None:
    data = noisy(12_000, 4_000)
    manifest = train(data, tmp_path / "m", exactly=True)
    model = Model.load(tmp_path / "m", kind="table")
    row = data.vectors[0].tolist()
    assert model.score(row) == pytest.approx(manifest.calibration.apply(model.raw(row)), abs=1e-12)


def test_a_leak_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    data = noisy()
    vectors = data.vectors.copy()
    vectors[:, 1] = data.labels
    with pytest.raises(LeakFound, match="noisy: refused as leaking the label") as refused:
        train(replace(data, vectors=vectors), tmp_path / "models")
    assert {leak.kind for leak in refused.value.leaks} == {"feature"}
    assert not list(tmp_path.iterdir())


def test_a_folder_is_replaced_file_by_file_and_an_old_report_goes(tmp_path: Path) -> None:
    data = noisy()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "report.html").write_text("of another model")
    first = train(data, tmp_path / "m", exactly=True)
    second = train(data, tmp_path / "m", Options(seed=8), exactly=True)
    assert first.version != second.version == Model.load(tmp_path / "m", kind="table").version
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["m", CALIBRATION, MANIFEST, MODEL])


def test_the_parent_is_the_model_that_was_in_use(tmp_path: Path) -> None:
    first = train(noisy(), tmp_path)
    second = train(noisy(seed=4), tmp_path, Options(champion=first))
    assert (first.parent, second.parent) == (None, first.version)


def test_a_report_is_written_where_it_can_be(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra (train)")
    manifest = train(noisy(1500, 500), tmp_path, Options(report=True))
    assert manifest.version in (tmp_path / manifest.version / "report.html").read_text()


def test_a_served_model_stays_within_its_budget() -> None:
    trees, parameters = budget(900, served=True)
    rate = float(parameters["learning_rate"])
    assert trees == MOST_SERVED_TREES
    assert trees * rate == pytest.approx(900 * float(budget(900, served=False)[1]["learning_rate"]))
    assert budget(900, served=False)[0] == 900
    assert budget(0, served=True)[0] == 1


def test_a_log_without_orders_can_not_be_trained_on(tmp_path: Path) -> None:
    log = Log()
    log.add(EventKind.ITEM_ADDED, 0, "a")
    with pytest.raises(TrainingError, match="0 of 0 rows for training"):
        train_on(log.events, tmp_path / "m")
    with pytest.raises(TrainingError, match="1 events of 1 shoppers"):
        train_on(log.events, tmp_path / "m", uncovered=True)
    assert not list(tmp_path.iterdir())


def test_the_leaky_table_is_refused(public_logs: Path, tmp_path: Path) -> None:
    pytest.importorskip("polars", reason="polars is an extra (train)")
    path = public_logs / "retailrocket_cart_session_features_LEAKY.csv.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    models = tmp_path / "models"
    for more in ([], ["--drop", "transaction_count", "--set", "scoring.auc_ceilings={}"]):
        arguments = ["train", "--table", str(path), "--label", "has_transaction", "--out", str(models), *more]
        result = runner.invoke(app, arguments)
        assert result.exit_code == 2, result.output
        assert "refused as leaking the label" in result.stderr
        assert not models.exists()


def test_train_on_a_table_from_the_command_line(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars", reason="polars is an extra (train)")
    data = noisy(1500, 500)
    columns = {column.name: values for column, values in zip(data.columns, data.vectors.T, strict=True)}
    table = tmp_path / "carts.parquet"
    pl.DataFrame(columns | {"bought": data.labels, "shopper": data.groups, "at": data.times}).write_parquet(table)
    asked = ["--label", "bought", "--group", "shopper", "--time", "at", "--drop", "c2", "--out", str(tmp_path / "m")]
    result = runner.invoke(app, ["train", "--table", str(table), *asked, "--json", "--name", "mine"])
    assert result.exit_code == 0, result.output
    manifest = json.loads(result.stdout)
    assert manifest["features"] == ["c0", "c1", "c3"]
    assert (manifest["data"]["name"], manifest["split"]["kind"]) == ("mine", "forward")
    assert lightgbm.Booster(model_file=tmp_path / "m" / manifest["version"] / MODEL).num_feature() == 3

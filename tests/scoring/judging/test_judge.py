"""Judging: on rows that were held out, beside what a model has to beat, and two models beside each other."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from ringback.cli import app
from scoring.data.logs import read_log
from scoring.data.outcomes import matured
from scoring.data.split import split
from scoring.dataset import Column, Dataset
from scoring.errors import TrainingError
from scoring.judging import baselines
from scoring.judging.judge import (
    BASE_RATE,
    CHAMPION,
    LOGISTIC,
    MODEL,
    Champion,
    compare,
    held_out,
    judge,
    may_have_seen,
    predict,
)
from scoring.judging.metrics import auc
from scoring.manifest import Manifest, SplitReport
from scoring.model import Model
from simulation.shop import training_log
from tests.scoring import models
from tests.scoring.judged import HOUR, exported, model, rows

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is an extra (train)")
runner = CliRunner()


@pytest.fixture
def judged(tmp_path: Path) -> Model:
    return model(tmp_path / "models")


def trained_on(data: Dataset, manifest: Manifest) -> Manifest:
    """The manifest of a model that was trained on this very data."""
    division = split(data)
    report = SplitReport(kind=division.kind, train=int(division.train.sum()), stop=0, test=int(division.test.sum()))
    return msgspec.structs.replace(manifest, data=data.source, split=report)


def test_scores_are_those_that_are_served(judged: Model) -> None:
    data = rows(50)
    assert predict(judged, data) == pytest.approx([judged.score(row) for row in data.vectors.tolist()], abs=0)


def test_a_model_beside_what_it_has_to_beat(judged: Model, tmp_path: Path) -> None:
    weaker = model(tmp_path / "weaker", trees=2)
    evidence = judge(judged, rows(), champion=Champion(weaker, "the model in use"))
    found = evidence.judged
    assert (found.part, found.groups, found.metrics.rows) == ("all", 1000, 2000)
    assert found.due is not None
    assert found.due.rows == 1000
    assert list(found.baselines) == [BASE_RATE, LOGISTIC, CHAMPION]
    base = found.baselines[BASE_RATE].metrics
    assert base is not None
    assert (base.auc, base.lift_10) == pytest.approx((0.5, 1.0))
    for name in (BASE_RATE, CHAMPION):
        low, difference, high = found.baselines[name].model_better_by["log_loss"]
        assert 0 < low <= difference <= high
    champion = found.baselines[CHAMPION]
    assert champion.version == weaker.version
    assert champion.metrics is not None
    assert champion.metrics.log_loss - found.metrics.log_loss == pytest.approx(
        champion.model_better_by["log_loss"][1], abs=1e-12
    )
    assert set(evidence.scores) == {MODEL, *found.baselines}


def test_without_a_champion_it_is_said_why(judged: Model) -> None:
    found = judge(judged, rows(200), champion=Champion(None, "a table has no carts")).judged.baselines[CHAMPION]
    assert (found.how, found.metrics) == ("a table has no carts", None)


def test_too_few_rows_for_a_logistic_regression_are_said(judged: Model) -> None:
    found = judge(judged, rows(30)).judged.baselines[LOGISTIC]
    assert found.metrics is None
    assert "too few to fit it" in found.how
    one_shopper = replace(rows(200), groups=np.zeros(200, dtype=np.int64))
    assert judge(judged, one_shopper).judged.baselines[LOGISTIC].metrics is None


def test_of_its_own_data_a_model_is_judged_on_what_was_held_out(judged: Model) -> None:
    data = rows()
    manifest = trained_on(data, judged.manifest)
    division = held_out(data, judged.manifest, manifest)
    assert division is not None
    assert division.test.tolist() == split(data).test.tolist()
    found = judge(judged, data, division.train, division.test).judged
    assert (found.part, found.metrics.rows) == ("held_out", int(division.test.sum()))
    assert held_out(data, judged.manifest) is None


def test_another_log_of_the_same_days_may_hold_the_same_rows(judged: Model) -> None:
    data = replace(rows(10), times=np.arange(100.0, 110.0))

    def seen(first: float, last: float) -> bool:
        source = msgspec.structs.replace(judged.manifest.data, first=first, last=last)
        return may_have_seen(data, msgspec.structs.replace(judged.manifest, data=source))

    assert seen(0.0, 100.0)
    assert seen(105.0, 200.0)
    assert not seen(0.0, 99.0)
    assert not seen(110.0, 200.0)
    same = msgspec.structs.replace(data.source, first=0.0, last=200.0)
    assert not may_have_seen(data, msgspec.structs.replace(judged.manifest, data=same))
    assert not may_have_seen(data, judged.manifest)


def test_a_division_that_cannot_be_made_again_is_refused(judged: Model) -> None:
    data = rows()
    manifest = trained_on(data, judged.manifest)
    other = msgspec.structs.replace(manifest, split=msgspec.structs.replace(manifest.split, test=7))
    with pytest.raises(TrainingError, match="same options as for training"):
        held_out(data, other)


def test_no_rows_are_an_error(judged: Model) -> None:
    data = rows(10)
    with pytest.raises(TrainingError, match="no rows are left"):
        judge(judged, data.take(np.zeros(10, dtype=np.bool_)))


def test_models_are_compared_on_what_neither_has_seen(judged: Model, tmp_path: Path) -> None:
    data = rows()
    weaker = model(tmp_path / "weaker", trees=2)
    assert (compare(judged, weaker, data).verdict, compare(weaker, judged, data).verdict) == ("a", "b")
    assert compare(judged, judged, data).verdict == "unsettled"
    models.edit(tmp_path / "weaker" / weaker.version, **as_changes(trained_on(data, weaker.manifest)))
    of_this_data = Model.load(tmp_path / "weaker" / weaker.version)
    found = compare(judged, of_this_data, data)
    assert (found.part, found.a_metrics.rows) == ("held_out", int(split(data).test.sum()))


def as_changes(manifest: Manifest) -> dict[str, object]:
    return {"data": manifest.data, "split": manifest.split}


def test_the_logistic_regression_copes_with_missing_values_and_categories() -> None:
    rng = np.random.default_rng(0)
    number, level = rng.normal(size=3000), rng.integers(0, 3, 3000).astype(np.float64)
    labels = rng.random(3000) < 1 / (1 + np.exp(-(number + 2.0 * (level == 1))))
    number[rng.random(3000) < 0.1] = np.nan
    level[rng.random(3000) < 0.1] = np.nan
    data = replace(
        rows(3000),
        kind="table",
        columns=(Column(name="number"), Column(name="level", kind="category", levels=("a", "b", "c"))),
        vectors=np.column_stack([number, level]),
        labels=labels,
        due=None,
    )
    scores = baselines.cross_fitted(data)
    known = ~np.isnan(data.vectors).any(axis=1)
    assert auc(labels[known], scores[known]) > 0.78
    assert abs(scores.mean() - labels.mean()) < 0.01
    level[:] = 7.0  # none that it has seen
    assert np.isfinite(baselines.logistic(data, replace(data, vectors=np.column_stack([number, level])))).all()


def test_cross_fitting_keeps_a_shopper_out_of_the_fit() -> None:
    rng = np.random.default_rng(0)
    shopper = np.repeat(np.arange(30), 100)
    # Each shopper's rows have a column of their own that is their label, which chance gave.
    vectors = np.eye(30)[shopper] * 5.0
    labels = (rng.random(30) < 0.5)[shopper]
    data = replace(
        rows(3000),
        columns=tuple(Column(name=f"c{place}") for place in range(30)),
        vectors=vectors,
        labels=labels,
        groups=shopper,
    )
    assert auc(labels, baselines.cross_fitted(data)) < 0.6
    assert auc(labels, baselines.logistic(data, data)) > 0.95


def test_rows_of_one_class_give_its_rate() -> None:
    data = rows(100)
    all_bought = replace(data, labels=np.ones(100, dtype=np.bool_))
    assert baselines.logistic(all_bought, data).tolist() == [1.0] * 100


def test_matured_decisions(tmp_path: Path) -> None:
    found = matured(read_log([exported(tmp_path)]), 24 * HOUR)
    assert (found.champion, found.shadow) == ("test", "rival")
    assert found.left_out == {"had no shadow": 1, "are not over": 1, "were of contacted shoppers": 1}
    assert len(found.labels) == 297
    assert found.labels.tolist() == (found.shadow_scores > 0.5).tolist()
    assert set(found.scores) == {0.5}


def test_decisions_without_contacts_teach_the_effect_of_the_calls(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ringback export --topic contacts"):
        matured(read_log([exported(tmp_path, contacts=False)]), 24 * HOUR)


def test_decisions_of_other_versions_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="test beside rival"):
        matured(read_log([exported(tmp_path)]), 24 * HOUR, shadow="unknown")


def test_decisions_that_are_too_young_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="export again later"):
        matured(read_log([exported(tmp_path)]), 1000 * HOUR)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shop") / "cart-events.jsonl"
    events = training_log(shoppers=250, days=8, seed=2)
    file.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
    return file


def run(folder: Path, *arguments: str | Path) -> str:
    result = runner.invoke(app, [*map(str, arguments), "--set", f"scoring.models={folder}"])
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_from_the_command_line(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    version = models.make(folder, seed=1, horizon=24 * HOUR, gap=1800.0)
    numbers = tmp_path / "numbers.json"
    printed = run(folder, "evaluate", version, "--log", shop, "--json", numbers)
    assert all(word in printed for word in (version, "recall@30%", "logistic", "champion", "5 folds"))
    written = json.loads(numbers.read_bytes())
    assert set(written["metrics"]) == {"rows", "base_rate", *written["intervals"]}
    assert set(written["baselines"]) == {"base_rate", "logistic_regression", "champion"}
    (folder / "current").symlink_to(version)
    assert "is this very model" in run(folder, "evaluate", folder / version, "--log", shop)


def test_compare_from_the_command_line(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    one, other = (models.make(folder, seed=seed, horizon=24 * HOUR, gap=1800.0) for seed in (1, 2))
    (folder / "current").symlink_to(other)
    numbers = tmp_path / "numbers.json"
    assert "by log-loss" in run(folder, "compare", one, "--log", shop, "--json", numbers)
    written = json.loads(numbers.read_bytes())
    assert (written["a"], written["b"]) == (one, other)


def test_compare_decisions_from_the_command_line(tmp_path: Path) -> None:
    printed = run(tmp_path, "compare", "--decisions", exported(tmp_path / "log"))
    assert "rival is better" in printed
    assert "left out, because they were of contacted shoppers: 1" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "unknown", "--log", "x"), "manifest.json can't be read"),
        (("evaluate", "MODEL"), "give either --log PATH"),
        (("evaluate", "MODEL", "--table", "x.csv"), "is a model of a log: give --log"),
        (("compare",), "give the model to compare"),
        (("compare", "--decisions", "x", "--log", "y"), "give either --decisions"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    version = models.make(tmp_path, seed=1, horizon=24 * HOUR)
    given = [version if one == "MODEL" else one for one in arguments]
    result = runner.invoke(app, [*given, "--set", f"scoring.models={tmp_path}"])
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())

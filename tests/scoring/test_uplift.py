"""The uplift model: what it learns, how it is judged, and when it may be used."""

import gzip
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from ringback.cli import app
from ringback.decisions import Worth
from ringback.errors import ModelRefused
from ringback.records import Channel, ContactKind, EventKind, encode
from scoring.data.contacts import UpliftRows
from scoring.dataset import Column, Dataset
from scoring.errors import TrainingError
from scoring.features import FEATURES
from scoring.judging.qini import measure
from scoring.manifest import MANIFEST, DataSource
from scoring.training.trial import Trial, trial_of_log, trial_of_table
from scoring.training.uplift_train import FOLDS, REPEATS, cross_fit, evaluate, folds, learn, train
from scoring.uplift import Arms, Learner, Uplift, is_uplift, load_uplift
from tests.scoring.decided import contact, decision
from tests.scoring.events import Log

HILLSTROM = "hillstrom_train.csv.gz"
SOURCE = DataSource(name="made up", sha256="0", events=0, shoppers=0)


def trial(
    rows: int = 6000, seed: int = 3, gain: float = 0.4, kind: Literal["log", "table"] = "log", share: float = 0.5
) -> Trial:
    """Half of the shoppers buy ``gain`` more often when they are called, the others do not care."""
    rng = np.random.default_rng(seed)
    names = [feature.name for feature in FEATURES] if kind == "log" else ["persuadable", "noise"]
    vectors = rng.normal(size=(rows, len(names)))
    treated = rng.random(rows) < share
    return Trial(
        kind=kind,
        columns=tuple(Column(name=name) for name in names),
        vectors=vectors,
        labels=rng.random(rows) < 0.15 + gain * treated * (vectors[:, 0] > 0),
        treated=treated,
        groups=None,
        source=SOURCE,
        arms=Arms(),
        horizon=86400.0 if kind == "log" else None,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    return out / train(trial(), out, label="bought").version


@pytest.mark.parametrize("learner", ["t", "x"])
def test_the_effect_is_found_where_it_is(learner: Learner) -> None:
    data = trial()
    learnt = learn(data, np.ones(len(data), dtype=np.bool_), learner, seed=1)
    fresh = trial(seed=4)
    found = learnt.predict(fresh.vectors)
    # Few and small trees are careful: they lean towards the mean effect.
    assert found[fresh.vectors[:, 0] > 0].mean() == pytest.approx(0.4, abs=0.1)
    assert found[fresh.vectors[:, 0] < 0].mean() == pytest.approx(0.0, abs=0.1)
    assert found.mean() == pytest.approx(0.2, abs=0.04)


def test_it_is_judged_beside_the_response_model_and_chance(folder: Path) -> None:
    manifest = Uplift.load(folder).manifest
    assert set(manifest.estimates) == {"t", "x", "response", "random"}
    assert manifest.estimates["x"]["q"].low > 0
    assert manifest.estimates["random"]["q"].value == pytest.approx(0.0, abs=1e-12)
    assert manifest.estimates["x"]["effect"].value == pytest.approx(0.2, abs=0.04)
    assert manifest.usable
    assert "used: its interval clears zero" in manifest.verdict()


def alike(seed: int, rows: int, kind: Literal["log", "table"] = "table") -> Trial:
    """Everybody buys as much more often when called."""
    data = trial(rows, seed, kind=kind)
    drawn = np.random.default_rng(seed).random(rows)
    return replace(data, labels=drawn < 0.15 + 0.1 * data.treated)


def test_where_all_gain_alike_nothing_is_found(tmp_path: Path) -> None:
    judged = [train(alike(seed, 1200), tmp_path, label="bought").usable for seed in range(5)]
    # One in forty is over zero by chance.
    assert sum(judged) <= 1


def test_what_is_not_proven_is_not_used(tmp_path: Path) -> None:
    manifest = train(alike(2, 1200, "log"), tmp_path, label="bought")
    assert not manifest.usable
    assert "not used" in manifest.verdict()
    assert load_uplift(tmp_path / manifest.version) is None
    assert Uplift.load(tmp_path / manifest.version).version == manifest.version


def test_one_row_scores_as_many_do(folder: Path) -> None:
    model = load_uplift(folder)
    assert model is not None
    data = trial()
    learnt = learn(data, np.ones(len(data), dtype=np.bool_), "x", seed=7)
    rows = data.vectors[:200].copy()
    rows[::7, ::3] = math.nan
    assert [model.score(row.tolist()) for row in rows] == pytest.approx(learnt.predict(rows).tolist(), abs=1e-12)


@pytest.mark.parametrize("learner", ["t", "x"])
def test_the_same_trial_and_seed_give_the_same_model(tmp_path: Path, learner: Learner) -> None:
    small = trial(rows=1500, kind="table")
    one, other = (train(small, tmp_path / name, label="bought", learner=learner) for name in ("a", "b"))
    assert one.version == other.version
    assert one.files == other.files
    assert one.estimates == other.estimates
    assert train(trial(rows=1500, kind="table", seed=9), tmp_path, label="bought").version != one.version


def test_training_again_leaves_one_whole_folder(tmp_path: Path) -> None:
    small = trial(rows=1500, kind="table")
    first = train(small, tmp_path, label="bought")
    assert train(small, tmp_path, label="bought").version == first.version
    assert [entry.name for entry in tmp_path.iterdir()] == [first.version]
    assert is_uplift(tmp_path / first.version)
    assert not is_uplift(tmp_path)


def test_no_shopper_is_on_both_sides_of_a_fold() -> None:
    rng = np.random.default_rng(2)
    data = trial(rows=900, kind="table")
    shoppers = rng.integers(0, 300, 900)
    part = folds(replace(data, groups=shoppers), rng)
    assert all(len(set(part[shoppers == shopper])) == 1 for shopper in set(shoppers.tolist()))
    assert set(part.tolist()) == set(range(FOLDS))


def test_every_row_is_scored_by_a_model_that_did_not_see_it() -> None:
    noise = trial(rows=3000, gain=0.0, kind="table")
    scores = cross_fit(noise, seed=1)
    assert scores["x"].shape == (3000, REPEATS)
    # Had the rows' own labels a part in it, there would be much to be found in noise.
    assert abs(measure(noise.labels, noise.treated, scores["x"][:, 0])["q"]) < 0.01


def test_another_trial_can_be_judged(folder: Path) -> None:
    manifest, judged = evaluate(folder, trial(rows=2000, seed=8), seed=1)
    assert manifest.version == folder.name
    assert judged.estimates["x"]["q"].clears_zero()
    assert judged.differences["x", "random"].clears_zero()
    with pytest.raises(TrainingError, match="was trained on"):
        evaluate(folder, trial(kind="table"), seed=1)


def changed(folder: Path, out: Path, **changes: object) -> Path:
    """A copy of a model's folder with another manifest."""
    out.mkdir()
    for file in folder.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    (out / MANIFEST).write_bytes(msgspec.json.encode(manifest | changes))
    return out


def test_a_changed_file_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = changed(folder, tmp_path / "copy")
    (copy / "effect_on_treated.txt").write_bytes(b"tree\n")
    with pytest.raises(ModelRefused, match="is not the file of its manifest"):
        Uplift.load(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"feature_hash": "0" * 64}, "are not this version's"),
        ({"features": ["a"]}, "are not this version's"),
        ({"response": "nothing.txt"}, "lists too few files"),
        ({"golden": [{"row": [0.0] * len(FEATURES), "score": 9.0}]}, "a golden row scores"),
        ({"golden": [{"row": [0.0], "score": 0.0}]}, "another length"),
        ({"kind": "intent"}, "is no uplift model's manifest"),
        ({"files": {"missing.txt": "0"}}, "can't be read"),
    ],
)
def test_a_foreign_manifest_is_refused(folder: Path, tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        Uplift.load(changed(folder, tmp_path / "copy", **changes))


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="can't be read"):
        Uplift.load(tmp_path)


def test_a_model_of_a_table_can_not_score_carts(tmp_path: Path) -> None:
    version = train(trial(rows=1500, kind="table"), tmp_path, label="bought").version
    with pytest.raises(ModelRefused, match="can't score carts"):
        load_uplift(tmp_path / version)


def test_too_few_buyers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="needs 20 with it"):
        train(trial(rows=100), tmp_path, label="bought")
    assert not list(tmp_path.iterdir())


def table(**columns: list[float]) -> Dataset:
    count = len(next(iter(columns.values())))
    return Dataset(
        kind="table",
        columns=tuple(
            Column(name=name, kind="category", levels=("call", "none", "mail")) if name == "arm" else Column(name=name)
            for name in columns
        ),
        vectors=np.array(list(columns.values()), dtype=np.float64).T,
        labels=np.zeros(count, dtype=np.bool_),
        times=None,
        groups=None,
        due=None,
        source=SOURCE,
        horizon=None,
    )


def test_the_arms_are_taken_from_a_column() -> None:
    data = table(arm=[0, 1, 2, 0, math.nan], x=[1, 2, 3, 4, 5])
    found = trial_of_table(data, Arms(column="arm", treated="call", control="none"))
    assert [column.name for column in found.columns] == ["x"]
    assert found.vectors[:, 0].tolist() == [1, 2, 4]
    assert found.treated.tolist() == [True, False, True]
    numbers = trial_of_table(table(t=[0, 1, 1], x=[1, 2, 3]), Arms(column="t"))
    assert numbers.treated.tolist() == [False, True, True]
    assert numbers.arms.is_number


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (Arms(column="nowhere"), "no column 'nowhere'"),
        (Arms(column="arm", treated="visit", control="none"), "no row has 'visit' in column 'arm'; it has 'call'"),
        (Arms(column="x", treated="7", control="0"), "no row has '7' in column 'x'; it has 1, 2"),
        (Arms(column="x", treated="call", control="0"), "no row has 'call' in column 'x'"),
    ],
)
def test_arms_that_are_not_there_are_told(arms: Arms, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        trial_of_table(table(arm=[0, 1], x=[1, 2]), arms)


def test_a_column_that_knows_the_outcome_is_left_out(tmp_path: Path) -> None:
    data = trial(rows=1500, kind="table")
    spent = np.where(data.labels, 10.0, 0.0)
    columns = (*data.columns, Column(name="spent"))
    leaking = replace(data, columns=columns, vectors=np.column_stack([data.vectors, spent]))
    manifest = train(leaking, tmp_path, label="bought")
    assert set(manifest.dropped) == {"spent"}
    assert manifest.features == ("persuadable", "noise")
    assert manifest.version == train(data, tmp_path / "clean", label="bought").version


def rows_of_log(rows: int) -> UpliftRows:
    data = trial(rows, share=0.8)
    channels = np.where(np.arange(rows) % 3 == 0, "sms", "voice")
    return UpliftRows(
        vectors=data.vectors,
        treated=data.treated,
        labels=data.labels,
        groups=np.arange(rows, dtype=np.int64),
        times=np.arange(rows, dtype=np.float64),
        reached=data.treated,
        values=np.zeros(rows),
        margins=np.zeros(rows),
        channels=tuple(channels.tolist()),
        currencies=("EUR",) * rows,
        left_out={},
    )


def test_the_holdouts_trial_is_of_one_channel() -> None:
    found = trial_of_log(rows_of_log(300), Channel.VOICE, SOURCE, 86400.0)
    assert len(found) == 200
    assert found.kind == "log"
    assert found.arms == Arms(treated="voice", control="holdout")
    assert [column.name for column in found.columns] == [feature.name for feature in FEATURES]
    with pytest.raises(TrainingError, match="no decision on the holdout would have been for chat"):
        trial_of_log(rows_of_log(300), Channel.CHAT, SOURCE, 86400.0)


def exported(folder: Path, shoppers: int) -> Path:
    """Decisions on as many shoppers, three in ten of them in the holdout, with calls and orders."""
    data = trial(shoppers, share=0.7)
    worth = Worth(
        channel=Channel.VOICE,
        at=0.0,
        lift=0.1,
        lift_source="prior",
        margin=100,
        answer=0.4,
        cost=1,
        value=1,
        per_minute=50,
        threshold=40,
    )
    decisions, contacts, events = [], [], []
    for place, (row, treated, bought) in enumerate(zip(data.vectors, data.treated, data.labels, strict=True)):
        who, time = f"s{place}", 1_700_000_000.0 + 60 * place
        made = decision(who, time, row.tolist(), arm="treated" if treated else "holdout")
        decisions.append(msgspec.structs.replace(made, worth=(worth,)))
        if treated:
            contacts.append(contact(who, ContactKind.ANSWERED, time + 30, made.decision_id))
        if bought:
            events.append(Log(who).add(EventKind.ORDER_COMPLETED, time + 3600))
    events.append(Log("last").add(EventKind.PRODUCT_VIEWED, 1_700_000_000.0 + 60 * shoppers + 86400))
    for topic, records in (("decisions", decisions), ("contacts", contacts), ("cart-events", events)):
        (folder / topic).mkdir(parents=True)
        (folder / topic / "1.jsonl").write_bytes(b"".join(encode(record) + b"\n" for record in records))
    return folder


def test_the_holdout_of_an_exported_log_is_a_trial(tmp_path: Path) -> None:
    log = exported(tmp_path / "export", 3000)
    run = CliRunner().invoke
    out = tmp_path / "models"
    made = run(app, ["uplift", "train", "--log", str(log), "--out", str(out), "--learner", "t", "--json"])
    assert made.exit_code == 0, made.output
    manifest = msgspec.json.decode(made.stdout)
    assert manifest["rows"] == 3000
    assert manifest["rows_of"] == "log"
    assert manifest["arms"] == {"treated": "voice", "control": "holdout"}
    assert manifest["usable"]
    model = load_uplift(out / manifest["version"])
    assert model is not None
    persuadable = [1.0] + [0.0] * (len(FEATURES) - 1)
    assert model.score(persuadable) > model.score([-1.0, *persuadable[1:]]) + 0.1
    told = run(app, ["uplift", "evaluate", str(out / manifest["version"]), "--log", str(log)])
    assert told.exit_code == 0, told.output
    assert "cross-fitted numbers" in told.output


def test_a_log_without_decisions_is_no_trial(tmp_path: Path) -> None:
    log = exported(tmp_path / "export", 50)
    failed = CliRunner().invoke(app, ["uplift", "train", "--log", str(log / "cart-events"), "--out", str(tmp_path)])
    assert failed.exit_code == 2
    assert "no decisions or no contacts" in failed.output


def hillstrom(public_logs: Path) -> Path:
    pytest.importorskip("polars", reason="tables need polars: extra train")
    file = public_logs / HILLSTROM
    if not file.exists():
        pytest.skip(f"no {HILLSTROM} in {public_logs}")
    return file


WOMENS = ("--treatment", "segment", "--treated", "Womens E-Mail", "--control", "No E-Mail", "--label", "visit")


def test_on_hillstrom_q_is_as_good_as_published(public_logs: Path) -> None:
    file = hillstrom(public_logs)
    from scoring.data.table import read_table  # noqa: PLC0415 - it needs polars

    data = read_table(file, "visit", drop=("conversion", "spend"))
    arms = Arms(column="segment", treated="Womens E-Mail", control="No E-Mail")
    womens = trial_of_table(data, arms)
    scores = cross_fit(womens, seed=7)
    found = []
    for repeat in range(REPEATS):
        part = folds(womens, np.random.default_rng((7, repeat)))
        for fold in range(FOLDS):
            rows = part == fold
            found.append(measure(womens.labels[rows], womens.treated[rows], scores["x"][rows, repeat])["q"])
    # The mean over 3 x 5 folds, as the X-learner's 36.6e-4 on the whole set was measured.
    assert np.mean(found) >= 34e-4


def test_the_commands(public_logs: Path, tmp_path: Path) -> None:
    with gzip.open(hillstrom(public_logs), "rt") as lines:
        part = "".join(islice(lines, 9000))
    file = tmp_path / "trial.csv"
    file.write_text(part)
    run = CliRunner().invoke
    made = run(app, ["uplift", "train", "--table", str(file), *WOMENS, "--out", str(tmp_path / "models"), "--json"])
    assert made.exit_code == 0, made.output
    manifest = msgspec.json.decode(made.stdout)
    assert set(manifest["dropped"]) == {"conversion", "spend"}
    assert manifest["arms"] == {"column": "segment", "treated": "Womens E-Mail", "control": "No E-Mail"}
    folder = str(tmp_path / "models" / manifest["version"])
    judged = run(app, ["uplift", "evaluate", folder, "--table", str(file), "--json"])
    assert judged.exit_code == 0, judged.output
    told = msgspec.json.decode(judged.stdout)
    assert told["estimates"] == manifest["estimates"]
    assert "cross-fitted" in told["how"]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(part.splitlines()[:6000]))
    shown = run(app, ["uplift", "evaluate", folder, "--table", str(other)])
    assert shown.exit_code == 0, shown.output
    assert "another trial" in shown.output
    assert "X-learner" in shown.output


def test_a_command_without_trial_says_what_is_missing(tmp_path: Path) -> None:
    nothing = CliRunner().invoke(app, ["uplift", "train", "--out", str(tmp_path)])
    assert nothing.exit_code == 2
    assert "--log PATH" in nothing.output

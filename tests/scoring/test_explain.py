"""Explanations add up to the score, or nothing is said."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ringback import cart as carts
from ringback.cart import Cart
from ringback.cli import app
from ringback.records import CartEvent, EventKind, encode
from scoring.explain import Explanation, basket, contributions, explain, tell
from scoring.features import EMPTY, FEATURES, FeatureState, update, vector
from scoring.manifest import MANIFEST
from scoring.model import Model, default_model_folder
from scoring.reasons import Basket, load
from scoring.training.uplift_train import train as train_uplift
from scoring.uplift import Uplift
from tests.scoring.events import Log
from tests.scoring.test_uplift import trial

NOTHING = Basket((), None)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(default_model_folder())


def odd_rows(count: int) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(3)
    shape = (count, len(FEATURES))
    odd = rng.choice([math.nan, 0.0, -1.0, 1e12, 1e-12], shape)
    return [tuple(row) for row in np.where(rng.random(shape) < 0.3, odd, rng.lognormal(1, 2, shape)).tolist()]


def story() -> Log:
    """Looks at one of two tents three times, and leaves at the second step of the checkout."""
    log = Log()
    log.add(EventKind.PRODUCT_VIEWED, 0, "a")
    log.add(EventKind.PRODUCT_VIEWED, 60, "b")
    log.add(EventKind.PRODUCT_VIEWED, 120, "a")
    log.add(EventKind.ITEM_ADDED, 180, "a", "b", category="tents", price=60_000)
    log.add(EventKind.PRODUCT_VIEWED, 240, "a")
    log.add(EventKind.CHECKOUT_STARTED, 300, step=1)
    log.add(EventKind.CHECKOUT_STEP, 360, step=2)
    return log


def followed(events: list[CartEvent]) -> tuple[FeatureState, Cart]:
    state, cart = EMPTY, None
    for event in events:
        state, cart = update(state, event), carts.apply(cart, event)
    assert cart is not None
    return state, cart


def test_contributions_sum_to_the_raw_score(model: Model) -> None:
    rows = odd_rows(200)
    raw = model.booster.predict(np.array(rows), raw_score=True, num_threads=1)
    for row, parts, expected in zip(rows, contributions(model, rows), raw, strict=True):
        assert parts is not None
        assert math.isclose(math.fsum(parts), expected, rel_tol=1e-9, abs_tol=1e-9)
        assert math.isclose(1 / (1 + math.exp(-math.fsum(parts))), model.raw(row), rel_tol=1e-9)


def test_an_explanation_tells_all_and_the_strongest_first(model: Model) -> None:
    row = odd_rows(1)[0]
    told = explain(model, row, NOTHING, load())
    assert {one.feature: one.value for one in told.contributions} == {
        feature.name: None if math.isnan(value) else value for feature, value in zip(FEATURES, row, strict=True)
    }
    strength = [abs(one.contribution) for one in told.contributions]
    assert strength == sorted(strength, reverse=True)
    assert told.base is not None
    assert math.isclose(
        told.base + math.fsum(one.contribution for one in told.contributions),
        math.log(model.raw(row) / (1 - model.raw(row))),
        rel_tol=1e-6,
    )


def test_the_product_that_was_looked_at_most_is_known() -> None:
    state, cart = followed(story().events)
    assert basket(state, cart).favourite == "a"
    assert basket(EMPTY, cart).favourite is None
    assert basket(EMPTY, Cart(cart_id="1", opened=0, last_activity=0)) == NOTHING


def test_a_shopper_who_left_at_the_shipping_costs(model: Model) -> None:
    state, cart = followed(story().events)
    told = explain(model, vector(state, cart, 2160.0), basket(state, cart), load())
    assert "Left at shipping costs" in told.reasons
    assert len(told.reasons) <= 3
    assert told.talking_points[0].startswith("The shopper stopped at shipping")
    assert any("instalments" in point for point in told.talking_points)


class Adrift:
    """A booster whose contributions do not add up for one row, or at all have another shape."""

    def __init__(self, model: Model, by: float = 0.0, columns: int = 0) -> None:
        self.version, self.booster = "adrift", self
        self._model, self._by, self._columns = model, by, columns

    def predict(self, rows: Any, **options: Any) -> Any:
        found = self._model.booster.predict(rows, **options)
        if options.get("pred_contrib"):
            parts = np.array(found)
            parts[1, 0] += self._by
            return parts[:, self._columns :]
        return found


@pytest.mark.parametrize(("by", "columns"), [(1e-6, 0), (math.nan, 0), (0.0, 1)])
def test_what_does_not_add_up_gives_no_reasons_and_a_warning(
    model: Model, caplog: pytest.LogCaptureFixture, by: float, columns: int
) -> None:
    broken: Any = Adrift(model, by, columns)
    with caplog.at_level(logging.WARNING):
        found = contributions(broken, odd_rows(3))
    assert [parts is None for parts in found] == [bool(columns), True, bool(columns)]
    assert "model adrift" in caplog.text
    told = tell(odd_rows(3)[1], found[1], NOTHING, load())
    assert told == Explanation(reasons=(), talking_points=told.talking_points)
    assert told.talking_points


@pytest.fixture(autouse=True)
def _no_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    other = Log("eve")
    other.add(EventKind.ITEM_ADDED, 9000, "c", price=100)
    file = tmp_path / "log.jsonl"
    events = sorted((*story().events, *other.events), key=lambda event: event.time)
    file.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    return file


def run(*arguments: object) -> Any:
    flags = ["--model", str(default_model_folder())]
    return CliRunner().invoke(app, ["explain", *map(str, arguments), *flags])


def test_the_command_explains_open_carts(model: Model, log_file: Path) -> None:
    found = json.loads(run(log_file, "--json").stdout)
    assert [one["cart"]["shopper_id"] for one in found] == ["ada", "eve"]
    ada = found[0]
    assert ada["model"] == model.version
    assert ada["lift"] == "prior: no uplift model is promoted in models"
    assert "Left at shipping costs" in ada["explanation"]["reasons"]
    total = ada["explanation"]["base"] + sum(one["contribution"] for one in ada["explanation"]["contributions"])
    state, cart = followed(story().events)
    assert math.isclose(1 / (1 + math.exp(-total)), model.raw(vector(state, cart, cart.last_activity + 1800.0)))


def test_the_command_shows_what_an_agent_reads(log_file: Path) -> None:
    shown = run(log_file, "--top", 1).stdout
    assert "Left at shipping costs" in shown
    assert "1,200.00 USD" in shown
    assert "all together" in shown
    assert "eve" not in shown


def test_one_cart_is_found_by_its_id_or_missed_by_name(log_file: Path) -> None:
    (cart,) = {one["cart"]["cart_id"] for one in json.loads(run(log_file, "--json", "--top", 1).stdout)}
    assert [one["cart"]["cart_id"] for one in json.loads(run(log_file, "--json", "--cart", cart).stdout)] == [cart]
    refused = run(log_file, "--cart", "lost", "--cart", cart)
    assert refused.exit_code == 2
    assert "no cart lost is open at the end of the log" in refused.stderr


def test_words_that_do_not_fit_are_refused_at_once(log_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[steps]\n")
    refused = run(log_file, "--set", f"scoring.reasons={tmp_path / 'mine.toml'}")
    assert refused.exit_code == 2
    assert "mine.toml: Object missing required field" in refused.stderr


def test_it_says_which_uplift_ranks_a_call(log_file: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    proven = train_uplift(trial(), models, label="bought").version
    assert not (models / "uplift").exists()
    assert json.loads(run(log_file, "--json").stdout)[0]["lift"] == "prior: no uplift model is promoted in models"
    (models / "uplift").symlink_to(proven)
    state, cart = followed(story().events)
    added = Uplift.load(models / proven).score(vector(state, cart, cart.last_activity + 1800.0))
    said = json.loads(run(log_file, "--json").stdout)[0]["lift"]
    assert said == f"uplift: a call adds {added:+.1%} by {proven}"
    fixed = run(log_file, "--json", "--set", f"scoring.model={default_model_folder()}")
    assert json.loads(fixed.stdout)[0]["lift"] == "prior: scoring.model is set"
    (models / proven / MANIFEST).write_text("{}")
    assert json.loads(run(log_file, "--json").stdout)[0]["lift"].startswith("prior: ")

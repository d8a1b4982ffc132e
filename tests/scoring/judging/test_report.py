"""The report: complete, self-contained, and safe whatever names the data brings."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from ringback.cli import app
from ringback.decide_settings import DecideSettings
from scoring.drift.psi import reference
from scoring.judging.judge import Champion, judge, predict
from scoring.model import Model
from tests.scoring import models
from tests.scoring.judged import LEARNT, model, rows

pytest.importorskip("matplotlib", reason="matplotlib is an extra (train)")
pytest.importorskip("sklearn", reason="scikit-learn is an extra (train)")

from scoring.judging.profit import Terms, baskets, profit, terms
from scoring.judging.report import REPORT, render, write

HOSTILE = '<script>alert("$title")</script>&'
VOID = {"meta", "link", "br", "img", "input", "hr"}
CHARTS = 10


class Page(HTMLParser):
    """What a browser would make of it: unclosed tags, ids, and whatever is fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags = Counter[str]()
        self.ids = Counter[str]()
        self.fetched: list[str] = []
        self.labels: list[str | None] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        given = dict(attrs)
        self.ids.update([found] if (found := given.get("id")) else [])
        links = (given.get(name) for name in ("src", "href", "xlink:href", "data", "action"))
        self.fetched += [link for link in links if link and not link.startswith(("#", "data:"))]
        if tag == "svg":
            assert given.get("role") == "img"
            self.labels.append(given.get("aria-label"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("models")
    learnt = model(folder)
    data = rows(500, seed=9)
    models.edit(folder / learnt.version, reference=reference(data, predict(learnt, data)), leak_ceiling=0.95)
    return Model.load(folder / learnt.version)


@pytest.fixture(scope="module")
def written(judged: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    champion = Champion(model(folder / "models", trees=3), "the model in use")
    file = write(folder, judged, judge(judged, rows(), champion=champion))
    assert sorted(one.name for one in folder.iterdir()) == ["models", REPORT]
    return file


def test_a_page_with_everything_on_it(judged: Model, written: Path) -> None:
    page = Page(written.read_text())
    assert page.open == []
    assert page.tags["svg"] == CHARTS
    assert all(page.labels)
    assert set(page.ids.values()) == {1}
    for heading in (
        "Against what it has to beat",
        "Does it find the buyers?",
        "Can its probabilities be believed?",
        "What would the calls earn?",
        "What does it go by?",
        "Are these the shoppers it was trained on?",
        "How was it made?",
    ):
        assert heading in page.text
    for said in (judged.version, "champion", "logistic regression", "decide.margin", judged.manifest.feature_hash):
        assert said in page.text


def test_nothing_is_fetched_and_nothing_runs(written: Path) -> None:
    text = written.read_text()
    page = Page(text)
    assert page.fetched == []
    assert not {"script", "link", "iframe", "object", "embed", "img"} & page.tags.keys()
    assert not re.search(r"@import|url\((?!#)", text)


def test_names_from_the_data_are_text(judged: Model) -> None:
    data = rows(300, name=HOSTILE)
    hostile = Model(
        msgspec.structs.replace(
            judged.manifest,
            features=tuple(f"{HOSTILE}{place}" for place in range(len(judged.manifest.features))),
            data=replace_name(judged),
            reference=tuple(msgspec.structs.replace(one, name=HOSTILE) for one in judged.manifest.reference),
        ),
        Always(),
        judged.booster,
    )
    page = Page(render(hostile, judge(hostile, data)))
    assert page.tags["script"] == 0
    assert page.open == []
    assert HOSTILE in page.text


class Always:
    """A backend for a model that scores in batches only."""

    name = "always"

    def score(self, _row: object) -> float:
        return 0.5


def replace_name(judged: Model) -> object:
    return msgspec.structs.replace(judged.manifest.data, name=HOSTILE, licence=HOSTILE)


def test_the_same_evidence_gives_the_same_page(judged: Model, written: Path, tmp_path: Path) -> None:
    champion = Champion(model(tmp_path, trees=3), "the model in use")
    assert render(judged, judge(judged, rows(), champion=champion)) == written.read_text()


def test_one_outcome_only_is_said(judged: Model) -> None:
    data = rows(60)
    page = Page(render(judged, judge(judged, replace(data, labels=np.zeros(60, dtype=np.bool_)))))
    assert "Only one outcome in the data" in page.text
    assert "Does it find the buyers?" not in page.text


def test_a_model_without_reference_bins_still_has_a_page(tmp_path: Path) -> None:
    old = model(tmp_path)
    assert "drift can't be told" in Page(render(old, judge(old, rows(200)))).text


def test_a_table_of_missing_values(judged: Model) -> None:
    data = rows(300)
    vectors = data.vectors.copy()
    vectors[:, 0] = np.nan
    vectors[::2, LEARNT] = np.nan
    data = replace(data, kind="table", vectors=vectors, groups=None, due=None)
    page = Page(render(judged, judge(judged, data)))
    assert page.open == []
    assert "every basket is taken as 100 USD" in page.text
    assert "missing now" in page.text


def test_from_the_command_line(tmp_path: Path, public_logs: Path) -> None:
    folder = tmp_path / "models"
    version = models.make(folder, seed=1, horizon=3600.0, gap=1800.0)
    log = public_logs / "rees46_2019-10-01_first_2h50.csv.gz"
    arguments = ["evaluate", version, "--log", str(log), "--format", "rees46", "--set", f"scoring.models={folder}"]
    result = CliRunner().invoke(app, [*arguments, "--report", str(tmp_path / "r.html")])
    assert result.exit_code == 0, result.output
    assert Page((tmp_path / "r.html").read_text()).open == []
    result = CliRunner().invoke(app, [*arguments, "--report", str(tmp_path / "nowhere" / "r.html")])
    assert result.exit_code == 2
    assert "can't be written" in result.output


TERMS = Terms(currency="USD", margin=0.5, lift=0.4, answer=0.5, cost=0.2, minute=0.1, handling=3.0)


def test_a_call_earns_the_margin_that_it_adds() -> None:
    scores = np.array([0.5, 0.1])
    found = profit(np.array([True, False]), scores, scores, np.array([40.0, 40.0]), TERMS)
    added = 0.4 * 0.5 * 0.5 * 40.0 * (1 - 0.5)
    assert found.carts.tolist() == [0.0, 0.5, 1.0]
    assert found.earned == pytest.approx([0.0, (added - 0.5) * 500, (added - 1.0) * 500])
    assert found.best == pytest.approx((0.5, (added - 0.5) * 500))
    assert found.at(0.25) == pytest.approx((added - 0.5) * 250)


def test_whom_everybody_wants_is_not_called_first() -> None:
    """A cart that is bought anyway gains nothing by a call."""
    scores = np.array([0.99, 0.5])
    found = profit(np.array([False, True]), scores, scores, None, TERMS)
    assert found.earned[1] > 0


def test_carts_of_the_same_worth_come_in_no_order() -> None:
    labels = np.array([True, False, False, False])
    found = profit(labels, np.full(4, 0.3), np.zeros(4), None, TERMS)
    assert np.diff(found.earned) == pytest.approx(np.full(4, np.diff(found.earned)[0]))


def test_terms_are_those_of_the_settings() -> None:
    given = terms(DecideSettings())
    assert given.currency == "USD"
    assert given.margin == pytest.approx(0.3)
    assert given.cost_of_call > given.cost > 0
    assert terms(DecideSettings(voice_from={"JPY": 60}, message_from={"EUR": 1})).currency == "USD"


def test_baskets_are_the_carts_own() -> None:
    data = rows(3)
    place = [column.name for column in data.columns].index("cart_value_log")
    data.vectors[:, place] = [np.log1p(99.5), np.nan, 0.0]
    assert baskets(data) == pytest.approx([99.5, 0.0, 0.0])
    assert baskets(replace(data, kind="table")) is None

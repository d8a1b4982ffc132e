"""The benchmark of worth on a small day: what it shows must hold, and nobody may earn more than the best."""

import json

import pytest

from benchmarks import worth
from benchmarks.worth import AGENTS, Case, Day, compare, lifts, play
from ringback.settings import Settings, load
from scoring.model import Model, default_model_folder

PLENTY = 20
# What another day shows; see `benchmarks.worth.lifts`.
MEASURED = {"decide.lift.voice": 2.5, "decide.lift.sms": 0.7}


@pytest.fixture(scope="module")
def laws() -> Settings:
    return load(worth.LAWS | MEASURED)


@pytest.fixture(scope="module")
def day(laws: Settings) -> list[Case]:
    return list(worth.cases(3, laws, Model.load(default_model_folder()), 400.0, 8))


@pytest.fixture(scope="module")
def scarce(day: list[Case], laws: Settings) -> dict[str, Day]:
    """What each policy does with too few agents."""
    return compare(day, 1, laws.decide)


def test_with_few_agents_worth_earns_more_than_expected_value(scarce: dict[str, Day]) -> None:
    assert scarce["worth, auto"].earned > scarce["expected value"].earned
    assert scarce["worth, auto"].earned > scarce["worth"].earned


def test_the_price_leaves_few_leads_uncalled(scarce: dict[str, Day]) -> None:
    auto, fixed = scarce["worth, auto"], scarce["worth"]
    assert auto.leads - auto.calls < (fixed.leads - fixed.calls) / 2
    assert auto.calls > 0.7 * fixed.calls


def test_nobody_earns_more_than_the_best(scarce: dict[str, Day]) -> None:
    assert max(scarce, key=lambda name: scarce[name].earned) == "best"


def test_with_plenty_of_agents_the_price_is_nothing_and_all_that_pays_is_called(
    day: list[Case], laws: Settings
) -> None:
    auto = play(day, worth.by_worth(laws.decide), PLENTY, laws.decide, auto=True)
    assert auto.calls == auto.leads
    assert auto.leads >= play(day, worth.by_worth(laws.decide), PLENTY, laws.decide).leads


def test_lifts_are_found_again(day: list[Case]) -> None:
    found = lifts(day)
    assert found["decide.lift.voice"] > found["decide.lift.sms"] > 0


def test_the_last_line_is_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["worth", "--visits", "150", "--rounds", "2"])
    worth.main()
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(last["agents"]) == [str(number) for number in AGENTS]
    assert last["agents"]["1"]["best"]["regret"] == 0.0

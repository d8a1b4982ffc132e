"""promote, rollback and models, as an operator types them: from a log to a model that serves."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from ringback.cli import app
from ringback.records import encode
from scoring.registry import Registry
from simulation.shop import training_log
from tests.scoring.models import make, spoil

Ringback = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def ringback(root: Path) -> Ringback:
    """A command on this registry."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [arguments[0], *arguments[1:], "--set", f"scoring.models={root}"])

    return run


def test_from_a_log_to_a_model_that_serves(root: Path, tmp_path: Path, ringback: Ringback) -> None:
    events = list(training_log(shoppers=1200, days=12, seed=3))
    middle = events[0].time + 0.7 * (events[-1].time - events[0].time)
    for name, part in (("early", [event for event in events if event.time < middle]), ("whole", events)):
        folder = tmp_path / name / "cart-events"
        folder.mkdir(parents=True)
        (folder / "1.jsonl").write_bytes(b"".join(encode(event) + b"\n" for event in part))
    early, whole = str(tmp_path / "early"), str(tmp_path / "whole")
    noise = make(root, 1, horizon=86400.0)
    assert ringback("promote", noise, "--force", "the first one").exit_code == 0
    trained = msgspec.json.decode(ringback("train", "--log", early, "--json").stdout)["version"]

    refused = ringback("promote", trained)
    assert refused.exit_code == 2
    assert "give --log" in refused.stderr
    refused = ringback("promote", noise, "--log", whole)
    assert refused.exit_code == 2
    promoted = ringback("promote", trained, "--canary", "5%", "--log", whole)
    assert promoted.exit_code == 0, promoted.stderr
    assert f"canary: {trained} for 5.0% of the shoppers" in promoted.stdout
    assert ringback("promote", trained).exit_code == 0
    assert Registry(root).standing().current == trained
    refused = ringback("promote", noise, "--log", whole)
    assert refused.exit_code == 2
    assert "not shown to be better" in refused.stderr

    for current in (noise, noise, None):
        assert ringback("rollback").exit_code == 0
        assert Registry(root).standing().current == current
    assert ringback("rollback").exit_code == 2


def test_the_models_are_listed(root: Path, ringback: Ringback) -> None:
    assert "no models" in ringback("models").stdout
    first, second, third = (make(root, seed) for seed in (1, 2, 3))
    ringback("promote", first, "--force", "why not")
    ringback("promote", second, "--shadow")
    spoil(root / third)
    listed = {one["version"]: one for one in msgspec.json.decode(ringback("models", "--json").stdout)}
    assert {version: one.get("roles", []) for version, one in listed.items()} == {
        first: ["current"],
        second: ["shadow"],
        third: [],
    }
    assert "sha256" in listed[third]["refused"]
    assert listed[first]["rows"] == 400
    shown = ringback("models").stdout
    assert all(version in shown for version in (first, second, third))
    assert f"current: {first}; shadow: {second}" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shadow", "--canary", "5%"], "give --shadow or --canary"),
        (["--canary", "many", "--force", "x"], "--canary many: expected a share such as 5%"),
        (["--canary", "0%", "--force", "x"], "share must be over 0 %"),
        (["--canary", "100%", "--force", "x"], "share must be over 0 %"),
        (["--force", " "], "--force takes a REASON"),
        (["--force", "x", "--log", "here"], "--force takes a REASON and no --log"),
    ],
)
def test_what_can_not_be_meant_is_refused(root: Path, ringback: Ringback, options: list[str], said: str) -> None:
    version = make(root, 1)
    refused = ringback("promote", version, *options)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert Registry(root).history() == []


def test_a_fixed_model_in_the_settings_is_told(root: Path, ringback: Ringback, monkeypatch: pytest.MonkeyPatch) -> None:
    version = make(root, 1)
    monkeypatch.setenv("RINGBACK_SCORING__MODEL", "/models/fixed")
    assert "workers with that setting serve /models/fixed" in ringback("promote", version, "--force", "x").stdout

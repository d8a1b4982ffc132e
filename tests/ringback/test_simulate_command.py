"""simulate, as a planner types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli import app

SMALL = ("simulate", "--agents", "5", "--hours", "0.5")

runner = CliRunner()


def test_a_planner_is_told_lines_calls_and_occupancy() -> None:
    result = runner.invoke(app, [*SMALL, "--breaks", "--swing", "0.4"])
    assert result.exit_code == 0, result.output
    last = result.stdout.splitlines()[-1]
    assert last.startswith("5 agents need ")
    assert "calls an hour" in last
    assert "progressive" in result.stdout
    assert "█" in result.stdout


def test_the_same_seed_tells_the_same_as_json() -> None:
    once, again, other = (runner.invoke(app, [*SMALL, "--json", "--seed", seed]).stdout for seed in ("1", "1", "2"))
    assert once == again != other
    plans = json.loads(once)
    assert plans.keys() == {"progressive", "predictive"}
    assert plans["progressive"]["abandoned"] == 0
    assert plans["progressive"]["lines"] <= 5


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_chart_is_drawn(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra (train)")
    path = tmp_path / f"floor{suffix}"
    result = runner.invoke(app, [*SMALL, "--chart", str(path)])
    assert result.exit_code == 0, result.output
    assert path.stat().st_size > 5000
    if suffix == ".svg":
        assert "waits for a call" in path.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--answer-rate", "1.5"), "answer rate"),
        (("--limit", "3"), "dialer.abandoned_limit"),
        (("--chart", "floor.pdf"), ".png or .svg"),
        (("--answer-rate", "0.9", "--swing", "0.5"), "cannot swing up"),
    ],
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], said: str) -> None:
    result = runner.invoke(app, [*SMALL, *options])
    assert result.exit_code == 2
    assert said in result.output

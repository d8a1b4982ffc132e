"""The options of a demo are checked before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from ringback.demo import DemoOptions
from ringback.errors import SettingsError


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"seconds": 0.0}, "--for"),
        ({"seconds": -1.0}, "--for"),
        ({"seconds": float("nan")}, "--for"),
        ({"agents": 0}, "--agents"),
        ({"agents": 201}, "--agents"),
        ({"speed": 0.5}, "--speed"),
        ({"speed": 3601.0}, "--speed"),
        ({"speed": float("nan")}, "--speed"),
        ({"seed": -1}, "--seed"),
        ({"report": Path("no/such/folder/report.json")}, "--report"),
        ({"report": Path()}, "--report"),
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, Any], flag: str) -> None:
    with pytest.raises(SettingsError, match=f"^{flag}: expected"):
        DemoOptions(**wrong)


def test_the_usual_options_are_right(tmp_path: Path) -> None:
    options = DemoOptions(seconds=30.0, report=tmp_path / "report.json", seed=3, agents=4, speed=60.0)
    assert (DemoOptions().speed, DemoOptions().seconds, options.agents) == (120.0, None, 4)

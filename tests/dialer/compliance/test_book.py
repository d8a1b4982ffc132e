"""The files of rules: those that ship are complete, and a broken one is refused with its name."""

from datetime import date
from pathlib import Path
from shutil import copytree

import pytest

from dialer.compliance.book import EVERYWHERE, SHIPPED, book, load
from dialer.compliance.places import areas
from ringback.errors import SettingsError

STRICTER_STATES = (
    *("AL", "CT", "FL", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MS", "NM", "NV", "OK", "OR", "PA", "RI", "TX", "UT"),
    *("WA", "WY"),
)


def test_all_jurisdictions_are_there() -> None:
    wanted = {EVERYWHERE, "US", "CA", "GB", "DE", "FR", "ES", "IT", "NL", *(f"US-{state}" for state in STRICTER_STATES)}
    assert set(book().jurisdictions) == wanted


def test_every_rule_has_a_source_and_a_day_from_which_it_holds() -> None:
    for jurisdiction in book().jurisdictions.values():
        for rule in jurisdiction.rules:
            assert len(rule.source) > 20, rule.id
            ours = jurisdiction.code == EVERYWHERE and rule.since == date.min
            assert ours or date(1985, 1, 1) < rule.since <= date(2026, 12, 31), rule.id


def test_every_country_has_hours_zones_and_consent() -> None:
    for code, jurisdiction in book().jurisdictions.items():
        if len(code) == 2:
            assert jurisdiction.hours, code
            assert jurisdiction.zones, code
            assert jurisdiction.consent, code


def test_every_state_with_rules_has_area_codes() -> None:
    states = {code for code in book().jurisdictions if code.startswith("US-")}
    assert states <= areas().zones_of_state.keys()


def test_the_version_changes_with_the_data(tmp_path: Path) -> None:
    copytree(SHIPPED, tmp_path / "data")
    assert load(tmp_path / "data").version == book().version
    file = tmp_path / "data" / "US-FL.toml"
    file.write_text(file.read_text() + "# one more word\n")
    assert load(tmp_path / "data").version != book().version


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('code = "US-FL"', 'code = "US-GA"', ["US-FL.toml", "'US-GA'", "not the file's name"]),
        ("calls = 3", "calls = 0", ["US-FL.toml", ">= 1", "calls"]),
        ("calls = 3", "cals = 3", ["US-FL.toml", "cals"]),
        ("since = 2021-07-01", 'since = "soon"', ["US-FL.toml", "since"]),
        ('["08:00-20:00"]', '["20:00-08:00"]', ["US-FL.toml", "US-FL-hours", "'20:00-08:00'"]),
        ("mon-sun", "mon-son", ["US-FL.toml", "'mon-son'"]),
        ("mon-sun", "sun-mon", ["US-FL.toml", "backwards"]),
        ("[[hours]]", "[[hours]", ["US-FL.toml"]),
        ("US-FL-hours", "US-hours", ["US-hours", "US.toml", "US-FL.toml"]),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    copytree(SHIPPED, tmp_path / "data")
    file = tmp_path / "data" / "US-FL.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(SettingsError) as refused:
        load(tmp_path / "data")
    assert all(word in str(refused.value) for word in words)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"everywhere\.toml is missing"):
        load(tmp_path)

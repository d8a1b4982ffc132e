"""Settings: flags over environment over file, and errors that name the key, what is expected and what came."""

from pathlib import Path

import pytest

from ringback.config_view import show
from ringback.errors import SettingsError
from ringback.settings import Settings, load


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str) -> None:
    Path("ringback.toml").write_text(text)


def test_defaults() -> None:
    assert load() == Settings()


def test_the_environment_overrides_the_file_and_a_flag_both(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[kafka]\nbootstrap = "file:1"\npartitions = 3\nreplication = 2\n')
    monkeypatch.setenv("RINGBACK_KAFKA__BOOTSTRAP", "environment:1")
    monkeypatch.setenv("RINGBACK_KAFKA__PARTITIONS", "4")
    kafka = load({"kafka.bootstrap": "flag:1"}).kafka
    assert (kafka.bootstrap, kafka.partitions, kafka.replication) == ("flag:1", 4, 2)


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    write("[kafka]\npartitions = 3\n")
    assert load({"kafka.partitions": None}).kafka.partitions == 3


def test_another_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[dialer]\nlines = 7\n")
    monkeypatch.setenv("RINGBACK_CONFIG", str(tmp_path / "other.toml"))
    assert load().dialer.lines == 7


def test_a_file_that_is_named_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_CONFIG", "missing.toml")
    with pytest.raises(SettingsError, match=r"missing\.toml"):
        load()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"kafka.partitions": "many"}, ["kafka.partitions", "integer", "'many'"]),
        ({"kafka.partitions": 0}, ["kafka.partitions", "greater than or equal to 1", "0"]),
        ({"kafka.bootstap": "x"}, ["kafka.bootstap", "no such setting"]),
        ({"coffee.strength": 3}, ["coffee", "no such setting"]),
        ({"log_level": "LOUD"}, ["log_level", "'INFO'", "'LOUD'"]),
        ({"decide.holdout": 0.9}, ["decide.holdout", "less than or equal to 0.5", "0.9"]),
        ({"compliance.hours": {"GB": {"open": "9"}}}, ["compliance.hours.GB.open", "'9'"]),
        ({"compliance.hours": {"GB": {"timezones": ["Mars"]}}}, ["compliance.hours.GB.timezones", "Mars", "IANA"]),
        ({"simulation.speed": 60}, ["simulation.speed", "simulation.enabled"]),
    ],
)
def test_a_wrong_value_is_explained(flags: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(flags)
    for word in words:
        assert word in str(wrong.value)


def test_several_wrong_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as wrong:
        load({"kafka.partitions": 0, "dialer.lines": 0})
    assert len(str(wrong.value).splitlines()) == 2


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as wrong:
        load({"ingest.secret": ["hunter2"]})
    assert "hunter2" not in str(wrong.value)


def test_a_file_that_is_no_toml() -> None:
    write("kafka = = 1")
    with pytest.raises(SettingsError):
        load()


@pytest.mark.parametrize(
    "flags", [{"ami.host": "pbx.example.com"}, {"dialer.channel": "PJSIP/{number}@carrier"}], ids=str
)
def test_a_simulation_reaches_no_carrier(flags: dict[str, object]) -> None:
    inside = {"simulation.enabled": True, "dialer.channel": "Local/{number}@shoppers"}
    assert load(inside).simulation.enabled
    with pytest.raises(SettingsError):
        load({**inside, **flags})


def test_the_printed_settings_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        {
            "dialer.lines": 7,
            "compliance.hours": {"FR": {"open": "10:00", "timezones": ["Europe/Paris"]}},
            "ingest.shops": {"shopify:example": {"currency": "USD"}},
            "decide.margins": {"electronics": "0.12"},
        }
    )
    text = show(settings, {})
    write(text.replace('"***"', '"a secret"'))
    again = load()
    assert again.dialer == settings.dialer
    assert again.compliance.hours == settings.compliance.hours
    assert again.ingest.shops == settings.ingest.shops
    salted = settings.decide.model_copy(update={"holdout_salt": again.decide.holdout_salt})
    assert again.decide == salted


def test_printed_settings_tell_where_they_came_from_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    write('[dialer]\nlines = 7\n[ami]\nsecret = "hunter2"\n')
    monkeypatch.setenv("RINGBACK_KAFKA__PARTITIONS", "4")
    monkeypatch.setenv("RINGBACK_REDIS__URL", "redis://:hunter2@127.0.0.1/0")
    flags = {"kafka.bootstrap": "flag:1", "admin.port": None}
    text = show(load(flags), flags)
    lines = text.splitlines()
    assert 'bootstrap = "flag:1"  # flag' in lines
    assert "partitions = 4  # environment" in lines
    assert "lines = 7  # ringback.toml" in lines
    assert "replication = 1" in lines
    assert 'secret = "***"  # ringback.toml' in lines
    assert "hunter2" not in text

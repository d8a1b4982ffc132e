"""The demo's environment: whatever a user has set, it can reach this machine and no carrier."""

import os
from pathlib import Path

import pytest

from dialer.compliance.book import book
from dialer.compliance.lists import greatest_ages
from ringback.demo_fleet import Addresses, environment
from ringback.settings import Settings, is_loopback, load

ADDRESSES = Addresses(
    kafka="127.0.0.1:29092", redis="127.0.0.1:26379", ami_port=25038, provider_port=28080, wall_origin=1_790_000_000.0
)
HOSTILE = {
    "RINGBACK_AMI__HOST": "asterisk.example",
    "RINGBACK_AMI__PORT": "5038",
    "RINGBACK_AMI__SECRET": "the real secret",
    "RINGBACK_KAFKA__BOOTSTRAP": "kafka.example:9092",
    "RINGBACK_REDIS__URL": "redis://redis.example:6379/0",
    "RINGBACK_DIALER__CHANNEL": "PJSIP/{number}@trunk",
    "RINGBACK_SIMULATION__ENABLED": "false",
    "RINGBACK_CONFIG": "/etc/ringback.toml",
    "RINGBACK_DIALER": '{"channel": "PJSIP/{number}@trunk"}',
    "ringback_ami__host": "asterisk.example",
    "KAFKA_HOST": "kafka.example",
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that a process of a hostile user's demo would have."""
    made = environment(HOSTILE | {"PATH": "/bin"}, tmp_path, ADDRESSES, seed=1, agents=6, speed=120.0)
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return load()


def test_nothing_of_the_users_settings_gets_through(settings: Settings) -> None:
    assert settings.simulation.enabled
    assert settings.dialer.channel == "Local/{number}@shoppers"
    assert (settings.ami.host, settings.ami.port) == ("127.0.0.1", 25038)
    assert settings.ami.secret.get_secret_value() != "the real secret"
    assert settings.kafka.bootstrap == "127.0.0.1:29092"
    assert settings.redis.url.get_secret_value() == "redis://127.0.0.1:26379/0"
    assert is_loopback(settings.admin.host)
    assert not [name for name in os.environ if "example" in os.environ[name]]


def test_no_national_list_is_missed(settings: Settings) -> None:
    """Nobody loads one, and the shop's days pass in minutes."""
    assert not greatest_ages(settings.compliance, book())


def test_the_shops_clock_starts_on_a_weekday_afternoon_in_new_york(settings: Settings) -> None:
    clock = settings.simulation.clock()
    assert clock.at(1_790_000_000.0) == 1_772_568_000.0
    assert clock.at(1_790_000_015.0) - clock.at(1_790_000_000.0) == 1800.0


def test_calling_hours_are_open_all_day_in_the_shops_countries(settings: Settings) -> None:
    for country in ("US", "CA", "GB", "FR", "DE"):
        hours = settings.compliance.hours[country]
        assert (hours.open, hours.close, set(hours.days)) == ("00:00", "24:00", set(range(7)))


def test_only_what_a_process_needs_is_passed_on(tmp_path: Path) -> None:
    made = environment(
        {"PATH": "/bin", "AWS_SECRET": "x", "HOME": "/h"}, tmp_path, ADDRESSES, seed=1, agents=1, speed=1.0
    )
    assert made["PATH"] == "/bin"
    assert made["HOME"] == "/h"
    assert "AWS_SECRET" not in made

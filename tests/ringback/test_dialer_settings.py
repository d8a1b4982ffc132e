import pytest

from ringback.config_view import show
from ringback.dialer_settings import RING_SECONDS, AmiSettings, DialerSettings
from ringback.errors import SettingsError
from ringback.settings import load

TWO = {"a": "10.0.0.1:5038", "b": "[::1]:5039"}
TRUNKS = {
    "a-main": {"server": "a", "channel": "PJSIP/{number}@main", "lines": 30},
    "a-spare": {"server": "a", "channel": "PJSIP/{number}@spare"},
    "b-main": {"server": "b"},
}


def test_one_server_with_one_trunk_by_default() -> None:
    settings = load({"dialer.lines": 7, "dialer.calls_per_second": 2.0})
    assert list(settings.ami.each()) == ["asterisk"]
    [trunk] = settings.dialer.trunks_of("asterisk").values()
    assert (trunk.lines, trunk.calls_per_second, trunk.channel) == (7, 2.0, "PJSIP/{number}@trunk")


def test_several_servers_share_user_and_secret_and_have_their_own_trunks() -> None:
    settings = load({"ami.servers": TWO, "ami.secret": "s", "ami.tls": True, "dialer.trunks": TRUNKS})
    places = settings.ami.each()
    assert {name: (place.host, place.port) for name, place in places.items()} == {
        "a": ("10.0.0.1", 5038),
        "b": ("::1", 5039),
    }
    assert all(place.secret.get_secret_value() == "s" and place.tls for place in places.values())
    assert set(settings.dialer.trunks_of("a")) == {"a-main", "a-spare"}
    assert set(load({"ami.servers": TWO}).dialer.trunks_of("b")) == {"b"}
    assert "10.0.0.1:5038" in show(settings, {})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"ami.servers": {"a": "10.0.0.1"}}, ["ami.servers.a", "host:port"]),
        ({"ami.servers": {"a": "10.0.0.1:99999"}}, ["ami.servers.a", "host:port"]),
        ({"ami.servers": {"A B": "10.0.0.1:5038"}}, ["ami.servers"]),
        ({"dialer.trunks": TRUNKS}, ["dialer.trunks.a-main.server", "asterisk"]),
        ({"ami.servers": TWO, "dialer.trunks": {"x": {"server": "a"}}}, ["'b'", "dialer.trunks"]),
        ({"dialer.channel": "PJSIP/trunk"}, ["dialer.channel"]),
        ({"dialer.ring_timeout": RING_SECONDS - 1}, ["dialer.ring_timeout"]),
        ({"dialer.ring_timeout": 32}, ["dialer.ring_timeout"]),
        ({"dialer.mode": "power"}, ["dialer.mode", "preview"]),
        ({"dialer.abandonment_rules": ["mars"]}, ["dialer.abandonment_rules"]),
        ({"dialer.abandoned_limit": 0.06}, ["dialer.abandoned_limit"]),
        ({"dialer.time_zone": "Mars"}, ["dialer.time_zone", "IANA"]),
    ],
)
def test_what_cannot_work_is_told(flags: dict[str, object], words: list[str]) -> None:
    with pytest.raises(SettingsError) as wrong:
        load(flags)
    for word in words:
        assert word in str(wrong.value)


@pytest.mark.parametrize(
    "flags",
    [
        {"ami.servers": {"a": "127.0.0.1:5038", "b": "pbx.example.com:5038"}},
        {"dialer.trunks": {"x": {"channel": "PJSIP/{number}@carrier"}}},
    ],
)
def test_a_simulation_reaches_no_carrier_by_any_server_or_trunk(flags: dict[str, object]) -> None:
    inside = {"simulation.enabled": True, "dialer.channel": "Local/{number}@shoppers"}
    assert load({**inside, "ami.servers": {"a": "127.0.0.1:5038"}}).simulation.enabled
    with pytest.raises(SettingsError, match="simulation"):
        load({**inside, **flags})


def test_a_standby_can_keep_the_five_seconds() -> None:
    """The lease runs out, the standby looks every fifth of it, and asks Asterisk."""
    assert DialerSettings().lease * 1.2 <= 4.0


def test_without_tls_there_is_no_certificate_to_check() -> None:
    assert AmiSettings().context() is None
    context = AmiSettings(tls=True).context()
    assert context is not None
    assert context.check_hostname

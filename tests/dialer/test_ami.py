import asyncio
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panoramisk.message import Message

from dialer import ami as ami_module
from dialer.ami import MESSAGE_BYTES, Ami, DeadlinePassed, LinkLost, NotConnected, parse
from ringback.dialer_settings import AmiSettings
from ringback.errors import SettingsError
from ringback.settings import RedisSettings
from tests.dialer import fuzz_ami
from tests.dialer.fake_ami import Action, FakeAmi
from tests.dialer.waiting import until


class Log:
    """What the link told."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.downs = 0

    def on_up(self) -> None:
        self.down.clear()
        self.up.set()

    def on_down(self) -> None:
        self.downs += 1
        self.up.clear()
        self.down.set()


@asynccontextmanager
async def linked(ami_settings: AmiSettings, told: Log, *, wait: bool = True) -> AsyncIterator[Ami]:
    ami = Ami(ami_settings, told.events.put_nowait, told.on_up, told.on_down, auth_pause=0.05)
    running = asyncio.create_task(ami.run())
    try:
        async with asyncio.timeout(20):
            if wait:
                await told.up.wait()
            yield ami
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def told() -> Log:
    return Log()


async def test_log_in_send_and_list(told: Log) -> None:
    def answer(action: Action) -> list[Action]:
        if action["Action"] == "CoreShowChannels":
            return [
                {"Response": "Success", "EventList": "start"},
                {"Event": "CoreShowChannel", "Uniqueid": "a"},
                {"Event": "CoreShowChannel", "Uniqueid": "b"},
                {"Event": "CoreShowChannelsComplete", "EventList": "Complete"},
            ]
        return [{"Response": "Error", "Message": "no such channel"}]

    async with FakeAmi(answer) as server, linked(server.settings(), told) as ami:
        assert [item.uniqueid for item in await ami.list("CoreShowChannels")] == ["a", "b"]
        refused = await ami.send("Hangup", Channel="x")
        assert not refused.success
        assert refused.message == "no such channel"
        assert server.actions("Login")[0]["Secret"] == "s3cret"


async def test_an_originate_is_answered_at_once_and_its_end_is_an_event(told: Log) -> None:
    async with FakeAmi() as server, linked(server.settings(), told) as ami:
        assert (await ami.send("Originate", Async="true", ActionID="call-1", Variable=["A=1", "B=2"])).success
        server.event("OriginateResponse", ActionID="call-1", Response="Failure", Reason=3)
        while (event := await told.events.get()).event != "OriginateResponse":
            pass
        assert (event.actionid, event.reason) == ("call-1", "3")


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_nothing_is_sent_twice(told: Log, acknowledged: bool) -> None:
    async with FakeAmi() as server, linked(server.settings(), told) as ami:
        if acknowledged:
            await ami.send("Originate", ActionID="call-1")
            server.cut()
        else:
            server.cut_on = "Originate"
            with pytest.raises(LinkLost):
                await ami.send("Originate", ActionID="call-1")
        await told.down.wait()
        with pytest.raises(NotConnected):
            await ami.send("Originate", ActionID="call-2")
        server.cut_on = None
        await told.up.wait()
        await ami.send("Ping")
        assert [action["ActionID"] for action in server.actions("Originate")] == ["call-1"]


async def test_it_comes_back_after_a_restart(told: Log) -> None:
    server = FakeAmi()
    await server.start()
    async with linked(server.settings(), told) as ami:
        await server.stop()
        await told.down.wait()
        assert not ami.connected
        await server.start()
        await told.up.wait()
        assert (await ami.send("Ping")).success
    await server.stop()


async def test_it_waits_for_a_server_that_is_not_there_yet(told: Log, caplog: pytest.LogCaptureFixture) -> None:
    server = FakeAmi()
    await server.start()
    await server.stop()
    with caplog.at_level(logging.WARNING):
        async with linked(server.settings(), told, wait=False) as ami:
            with pytest.raises(NotConnected):
                await ami.send("Ping")
            await until(lambda: caplog.records)
            await server.start()
            await told.up.wait()
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    await server.stop()


async def test_an_action_without_an_answer_has_a_deadline(told: Log) -> None:
    async with FakeAmi(lambda _: None) as server, linked(server.settings(action_timeout=0.2), told) as ami:
        with pytest.raises(DeadlinePassed):
            await ami.send("Originate", ActionID="call-1")
        assert ami.connected


async def test_a_frozen_server_is_noticed(told: Log) -> None:
    async with FakeAmi() as server, linked(server.settings(ping_interval=0.05, action_timeout=0.3), told) as ami:
        server.frozen = True
        with pytest.raises((LinkLost, DeadlinePassed)):
            await ami.send("Originate", ActionID="call-1")
        await told.down.wait()
        server.frozen = False
        await told.up.wait()
        assert len(server.actions("Originate")) == 1


async def test_a_wrong_secret_is_an_error_once(told: Log, caplog: pytest.LogCaptureFixture) -> None:
    async with FakeAmi() as server:
        server.refuse_login = True
        async with linked(server.settings(), told, wait=False):
            await server.wait_for("Login", 3)
            assert not told.up.is_set()
            server.refuse_login = False
            await told.up.wait()
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "ami.secret" in errors[0].getMessage()
    assert "s3cret" not in caplog.text


async def test_a_character_cut_by_a_segment_survives(told: Log) -> None:
    ami = Ami(AmiSettings(), told.events.put_nowait, told.on_up, told.on_down)
    reader = asyncio.StreamReader(limit=MESSAGE_BYTES)
    reading = asyncio.create_task(ami._read(reader))
    for byte in b"Asterisk Call Manager/9\r\nEvent: UserEvent\r\nName: Jos\xc3\xa9\r\n\r\n":
        reader.feed_data(bytes([byte]))
        await asyncio.sleep(0)
    await until(lambda: not ami._events.empty(), "the event")
    assert ami._events.get_nowait().name == "José"
    reader.feed_eof()
    with pytest.raises(EOFError):
        await reading


async def test_garbage_is_no_reason_to_stop(told: Log) -> None:
    async with FakeAmi() as server, linked(server.settings(), told) as ami:
        server.raw(b"no header\r\n\r\n\r\n\r\nEvent\r\n\r\n\xff\xfe: \x00\r\n\r\n")
        server.event("Hangup", Uniqueid="x")
        while (await told.events.get()).event != "Hangup":
            pass
        assert ami.connected


async def test_a_message_without_an_end_breaks_the_link(told: Log) -> None:
    async with FakeAmi() as server, linked(server.settings(), told):
        server.raw(b"x" * (MESSAGE_BYTES + 100_000))
        await told.down.wait()
        await told.up.wait()


async def test_what_is_not_asterisk_is_told(told: Log, caplog: pytest.LogCaptureFixture) -> None:
    async with FakeAmi() as server:
        server.greeting = b"SSH-2.0-OpenSSH\r\n"
        async with linked(server.settings(), told, wait=False):
            await until(lambda: "manager interface" in caplog.text)


async def test_a_failing_handler_does_not_end_the_link(caplog: pytest.LogCaptureFixture) -> None:
    came: list[str] = []
    both = asyncio.Event()

    def fails(message: Message) -> None:
        came.append(str(message.event))
        if came.count("Hangup") == 2:
            both.set()
        raise RuntimeError("handler")

    def nothing() -> None:
        raise RuntimeError("handler")

    async with FakeAmi() as server:
        ami = Ami(server.settings(), fails, nothing, nothing)
        running = asyncio.create_task(ami.run())
        await server.wait_for("Login")
        async with asyncio.timeout(20):
            await until(lambda: ami.connected)
            server.event("Hangup")
            server.event("Hangup")
            await both.wait()
        assert ami.connected
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "handler of AMI messages failed" in caplog.text


async def test_closing_is_final(told: Log) -> None:
    async with FakeAmi() as server:
        async with linked(server.settings(), told):
            pass
        assert told.downs == 1
        await asyncio.sleep(0)
        assert server.connections == 1


@pytest.mark.parametrize("bad", ["x\r\nAction: Originate", "x\n", "\r", "\0"])
async def test_header_injection_is_refused(told: Log, bad: str) -> None:
    async with FakeAmi() as server, linked(server.settings(), told) as ami:
        with pytest.raises(ValueError, match="smuggle"):
            await ami.send("Originate", CallerID=bad)
        with pytest.raises(ValueError, match="smuggle"):
            await ami.send("Originate", Variable=["A=1", bad])
        assert server.actions("Originate") == []


async def test_a_user_without_system_rights_still_gets_up(told: Log) -> None:
    async with FakeAmi() as server:
        server.boots = False
        async with linked(server.settings(action_timeout=0.2), told) as ami:
            assert ami.connected


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that signs itself, and what a server does with it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(pem)]
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context


async def test_tls_with_a_certificate_that_is_trusted(told: Log, certificate: tuple[Path, ssl.SSLContext]) -> None:
    pem, context = certificate
    async with FakeAmi(tls=context) as server, linked(server.settings(host="localhost", tls=True, ca=pem), told) as ami:
        assert (await ami.send("Ping")).success


@pytest.mark.parametrize("changes", [{"host": "localhost"}, {"host": "127.0.0.1", "ca": True}])
async def test_tls_to_whoever_cannot_prove_who_he_is_sends_no_secret(
    told: Log, certificate: tuple[Path, ssl.SSLContext], changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    pem, context = certificate
    changes = {**changes, "ca": pem} if changes.get("ca") else changes
    async with FakeAmi(tls=context) as server:
        async with linked(server.settings(tls=True, **changes), told, wait=False):
            await until(lambda: "certificate verify failed" in caplog.text, "the complaint")
        assert server.seen == []


def test_certificates_that_are_none_are_told_at_once(tmp_path: Path) -> None:
    for ca in (tmp_path / "none.pem", Path(__file__)):
        with pytest.raises(SettingsError, match=r"ami\.ca"):
            Ami(AmiSettings(tls=True, ca=ca), lambda _: None, lambda: None, lambda: None)


async def test_a_list_without_an_end_breaks_the_link(told: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_module, "MOST_WAITING", 10)

    def answer(action: Action) -> list[Action]:
        return [{"Response": "Success"}, *({"Event": "CoreShowChannel"} for _ in range(11))]

    async with FakeAmi(answer) as server, linked(server.settings(), told) as ami:
        with pytest.raises(LinkLost):
            await ami.list("CoreShowChannels")
        await told.up.wait()


async def test_the_same_id_twice_at_once_is_refused(told: Log) -> None:
    async with FakeAmi(lambda _: None) as server, linked(server.settings(action_timeout=0.5), told) as ami:
        first = asyncio.create_task(ami.send("Originate", ActionID="call-1"))
        await server.wait_for("Originate")
        with pytest.raises(ValueError, match="under way"):
            await ami.send("Originate", ActionID="call-1")
        with pytest.raises(DeadlinePassed):
            await first
        assert len(server.actions("Originate")) == 1


async def test_events_before_the_end_of_the_link_are_delivered(told: Log) -> None:
    async with FakeAmi() as server, linked(server.settings(), told):
        for n in range(250):
            server.event("Hangup", Uniqueid=str(n))
        await server.stop_gently()
        await told.down.wait()
        came = [told.events.get_nowait() for _ in range(told.events.qsize())]
        assert [event.uniqueid for event in came if event.event == "Hangup"] == [str(n) for n in range(250)]
        await server.start()


async def test_a_server_that_hangs_up_after_the_log_in_is_not_hurried_back_to(told: Log) -> None:
    pauses: list[float] = []
    async with FakeAmi() as server:
        server.cut_on = "Ping"
        async with linked(server.settings(ping_interval=0.001, reconnect_max=0.8), told):
            loop = asyncio.get_running_loop()
            last = loop.time()
            for n in range(1, 5):
                await server.wait_for("Login", n)
                pauses.append(loop.time() - last)
                last = loop.time()
    # Each pause is at least half of twice the one before, but for the first.
    assert sum(pauses[1:]) > 0.5 * (ami_module.FIRST_PAUSE_SECONDS * (1 + 2) + 0.8)


def test_of_repeated_headers_the_first_holds() -> None:
    message = parse(b"Event: UserEvent\r\nUniqueid:real\r\nUNIQUEID: forged\r\nNo header\r\nName: a: b\r\n\r\n")
    assert message is not None
    assert (message.uniqueid, message.name) == ("real", "a: b")
    assert parse(b"Nothing: here\r\n\r\n") is None


@pytest.mark.parametrize("seed", [1, 2])
async def test_lines_that_no_asterisk_sends(seed: int, redis_settings: RedisSettings) -> None:
    """More of them: python -m tests.dialer.fuzz_ami --lines 1000000."""
    floor = await fuzz_ami.run(20_000, seed, redis_settings)
    assert floor.findings == []
    assert floor.ended > 10


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_skipped(data: bytes) -> None:
    ami = Ami(AmiSettings(), lambda _: None, lambda: None, lambda: None)

    async def read() -> None:
        reader = asyncio.StreamReader(limit=MESSAGE_BYTES)
        reader.feed_data(b"Asterisk Call Manager/9\r\nEvent: " + data + b"\r\n\r\n")
        reader.feed_eof()
        with pytest.raises(EOFError):
            await ami._read(reader)

    asyncio.run(read())

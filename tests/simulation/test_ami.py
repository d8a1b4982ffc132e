"""The manager protocol, by raw streams and by panoramisk, over a network whose fates are set."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from panoramisk import Manager

from ringback.errors import SettingsError
from simulation.ami import AmiServer
from simulation.ami_messages import Event, parse
from simulation.fates import Ending, Fate
from simulation.telephone import Talk, Telephone

NUMBER = "12125550142"
DEADLINE = 8.0
Message = dict[str, str]


class Client:
    """A manager client that knows nothing but lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[Message] = []

    def send(self, *headers: tuple[str, str]) -> None:
        self.writer.write("".join(f"{k}: {v}\r\n" for k, v in headers).encode() + b"\r\n")

    async def read(self) -> Message:
        async with asyncio.timeout(DEADLINE):
            block = await self.reader.readuntil(b"\r\n\r\n")
        message = dict(line.split(": ", 1) for line in block.decode().split("\r\n") if line)
        self.seen.append(message)
        return message

    async def until(self, **wanted: str) -> Message:
        while True:
            message = await self.read()
            if all(message.get(key) == value for key, value in wanted.items()):
                return message

    async def ask(self, action: str, *headers: tuple[str, str]) -> Message:
        self.send(("Action", action), ("ActionID", f"ask-{action}"), *headers)
        while True:
            message = await self.read()
            if "Response" in message and "Event" not in message:
                return message

    async def originate(self, channel_id: str, number: str = NUMBER, **changed: str) -> Message:
        headers = {
            "Channel": f"Local/{number}@shoppers",
            "ChannelId": channel_id,
            "Context": "ringback-answered",
            "Exten": "s",
            "Priority": "1",
            "Timeout": "25000",
            "Async": "true",
            "Variable": f"RINGBACK_CALL_ID={channel_id}",
        } | changed
        return await self.ask("Originate", *headers.items())

    def stages(self) -> list[str]:
        return [m.get("Stage", m["Event"]) for m in self.seen if m.get("Event") in ("UserEvent", "Hangup")]


class World:
    """A network and its server, with one fate for every call."""

    def __init__(self, fate: Fate) -> None:
        self.talks: list[Talk] = []
        self.clients: list[Client] = []
        self.telephone = Telephone(lambda _number, _attempt: fate, talked=self.talks.append)
        self.server = AmiServer(self.telephone, user="ringback", secret="s3cret")

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(client)
        assert await client.reader.readline() == b"Asterisk Call Manager/11.0.0\r\n"
        return client

    async def login(self) -> Client:
        client = await self.connect()
        accepted = await client.ask("Login", ("Username", "ringback"), ("Secret", "s3cret"))
        assert accepted["Message"] == "Authentication accepted"
        assert (await client.read())["Event"] == "FullyBooted"
        client.seen.clear()
        return client


@asynccontextmanager
async def world(fate: Fate) -> AsyncIterator[World]:
    made = World(fate)
    await made.server.start()
    try:
        yield made
    finally:
        for client in made.clients:
            client.writer.close()
        await made.server.close()
        await made.telephone.close()


HUMAN = Fate(Ending.HUMAN, 0.02, 0.1)


async def test_a_connected_call_has_the_events_of_asterisk_in_their_order() -> None:
    async with world(HUMAN) as it:
        it.telephone.agent_arrives("1001")
        client = await it.login()
        queued = await client.originate("call-1")
        assert queued["Response"] == "Success"
        assert queued["Message"] == "Originate successfully queued"
        response = await client.until(Event="OriginateResponse")
        assert (response["Response"], response["Reason"], response["Uniqueid"]) == ("Success", "4", "call-1")
        assert response["ActionID"] == "ask-Originate"
        assert response["Channel"].startswith(f"Local/{NUMBER}@shoppers-")
        assert abs(float(response["Timestamp"]) - time.time()) < DEADLINE
        answered = await client.until(Stage="answered", CallID="call-1", Uniqueid="call-1")
        assert answered["ChanVariable"] == "RINGBACK_CALL_ID=call-1"
        redirected = await client.ask(
            "Redirect", ("Channel", "call-1"), ("Context", "ringback-connect"), ("Exten", "1001"), ("Priority", "1")
        )
        assert redirected["Message"] == "Redirect successful"
        await client.until(Stage="connected", Agent="1001", CallID="call-1")
        hangup = await client.until(Event="Hangup", Uniqueid="call-1")
        assert (hangup["Cause"], hangup["Cause-txt"]) == ("16", "Normal Clearing")
        assert client.stages() == ["answered", "connected", "Hangup"]
        (talk,) = it.talks
        assert (talk.call_id, talk.number, talk.agent) == ("call-1", NUMBER, "1001")


@pytest.mark.parametrize(
    ("ending", "cause", "state"),
    [
        (Ending.BUSY, "17", "Down"),
        (Ending.NO_ANSWER, "19", "Ringing"),
        (Ending.DECLINED, "21", "Ringing"),
        (Ending.INVALID, "1", "Down"),
        (Ending.CONGESTION, "34", "Down"),
    ],
)
async def test_a_failed_call_is_told_by_response_and_cause(ending: Ending, cause: str, state: str) -> None:
    async with world(Fate(ending, 0.02)) as it:
        client = await it.login()
        await client.originate("call-1")
        # Which of the two comes first differs, as in Asterisk.
        told: dict[str, Message] = {}
        while not told.keys() >= {"OriginateResponse", "Hangup"}:
            message = await client.read()
            told[message["Event"]] = message
        response, hangup = told["OriginateResponse"], told["Hangup"]
        assert (response["Response"], response["Reason"]) == ("Failure", "0")
        assert response["Channel"] == f"Local/{NUMBER}@shoppers"
        assert (hangup["Cause"], hangup["ChannelStateDesc"]) == (cause, state)
        assert client.stages() == ["Hangup"]


async def test_a_call_that_rings_out_has_reason_3() -> None:
    async with world(Fate(Ending.HUMAN, 5.0, 1.0)) as it:
        client = await it.login()
        await client.originate("call-1", Timeout="50")
        assert (await client.until(Event="OriginateResponse"))["Reason"] == "3"
        assert (await client.until(Event="Hangup"))["Cause"] == "19"


async def test_nobody_free_means_the_safe_harbour_message_after_1_8_seconds() -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        await client.originate("call-1")
        answered = await client.until(Stage="answered")
        abandoned = await client.until(Stage="abandoned", CallID="call-1")
        waited = float(abandoned["Timestamp"]) - float(answered["Timestamp"])
        assert 1.79 <= waited < 2.0
        await client.until(Stage="safe-harbour-played", Status="SUCCESS")
        assert (await client.ask("Getvar", ("Variable", "RINGBACK_ABANDONED")))["Value"] == "call-1 "
        assert (await client.until(Event="Hangup"))["Cause"] == "16"


@pytest.mark.parametrize("exten", ["1009", "1001"])
async def test_an_agent_who_is_gone_or_talking_means_the_safe_harbour_message(exten: str) -> None:
    async with world(Fate(Ending.HUMAN, 0.01, 30.0)) as it:
        it.telephone.agent_arrives("1001")
        client = await it.login()
        for call_id, number in (("call-1", NUMBER), ("call-2", "12125550143")):
            await client.originate(call_id, number)
            await client.until(Stage="answered", CallID=call_id)
            agent = "1001" if call_id == "call-1" else exten
            await client.ask(
                "Redirect", ("Channel", call_id), ("Context", "ringback-connect"), ("Exten", agent), ("Priority", "1")
            )
        await client.until(Stage="abandoned", CallID="call-2")
        assert [m["CallID"] for m in client.seen if m.get("Stage") == "connected"] == ["call-1"]


async def test_a_greeting_is_listened_to_where_that_is_asked_for() -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        await client.originate("call-1", Variable="RINGBACK_CALL_ID=call-1,RINGBACK_AMD=on")
        assert (await client.until(Stage="answered"))["Amd"] == "on"
        verdict = await client.until(Stage="amd", CallID="call-1")
        assert (verdict["Status"], verdict["Dropped"]) == ("HUMAN", "0")
        await client.until(Stage="abandoned", CallID="call-1")


async def test_who_hangs_up_early_is_gone_without_a_word() -> None:
    async with world(Fate(Ending.HANGS_UP_EARLY, 0.01, 0.05)) as it:
        client = await it.login()
        await client.originate("call-1")
        assert (await client.until(Event="Hangup"))["Cause"] == "16"
        assert client.stages() == ["answered", "Hangup"]


async def test_an_agent_who_leaves_ends_the_conversation() -> None:
    async with world(Fate(Ending.HUMAN, 0.01, 60.0)) as it:
        it.telephone.agent_arrives("1001")
        client = await it.login()
        await client.originate("call-1")
        await client.until(Stage="answered")
        await client.ask(
            "Redirect", ("Channel", "call-1"), ("Context", "ringback-connect"), ("Exten", "1001"), ("Priority", "1")
        )
        await client.until(Stage="connected")
        it.telephone.agent_leaves("1001")
        await client.until(UserEvent="RingbackAgent", Agent="1001", State="gone")
        await client.until(Event="Hangup", Uniqueid="call-1")
        assert it.telephone.channels() == []


async def test_hangup_while_it_rings_is_a_failure() -> None:
    async with world(Fate(Ending.HUMAN, 30.0, 1.0)) as it:
        client = await it.login()
        await client.originate("call-1")
        assert (await client.ask("Hangup", ("Channel", "call-1"), ("Cause", "16")))["Message"] == "Channel Hungup"
        assert (await client.until(Event="OriginateResponse"))["Reason"] == "0"
        await client.until(Event="Hangup", Cause="16")


async def test_agents_and_calls_are_in_the_lists() -> None:
    async with world(Fate(Ending.HUMAN, 30.0, 1.0)) as it:
        it.telephone.agent_arrives("1001")
        client = await it.login()
        await client.originate("call-1")
        started = await client.ask("CoreShowChannels")
        assert started["EventList"] == "start"
        complete = await client.until(Event="CoreShowChannelsComplete")
        assert (complete["ListItems"], complete["EventList"]) == ("3", "Complete")
        rows = {m["Uniqueid"]: m for m in client.seen if m.get("Event") == "CoreShowChannel"}
        (agent,) = (row for row in rows.values() if row["Context"] == "ringback-agent")
        assert (agent["Exten"], agent["Application"]) == ("1001", "BridgeWait")
        assert {row["Linkedid"] for row in rows.values()} == {"call-1", agent["Uniqueid"]}
        assert rows["call-1"]["ChannelStateDesc"] == rows["call-1;2"]["ChannelStateDesc"] == "Ringing"
        await client.ask("Status", ("Channel", "call-1"))
        status = await client.until(Event="Status")
        assert (status["Uniqueid"], status["ChannelStateDesc"]) == ("call-1", "Ringing")
        await client.until(Event="StatusComplete", ListItems="1", Items="1")


@pytest.mark.parametrize(
    ("action", "headers", "message"),
    [
        ("Dance", (), "Invalid/unknown command: Dance. Use Action: ListCommands to show available commands."),
        ("Redirect", (("Channel", "nobody"),), "Context not specified"),
        (
            "Redirect",
            (("Channel", "nobody"), ("Context", "ringback-connect"), ("Exten", "1"), ("Priority", "1")),
            "Channel does not exist: nobody",
        ),
        ("Hangup", (), "No channel specified"),
        ("Hangup", (("Channel", "nobody"),), "No such channel"),
        ("Status", (("Channel", "nobody"),), "No such channel"),
        ("Originate", (), "Channel not specified"),
        ("Originate", (("Channel", "nobody"),), "Invalid channel"),
    ],
)
async def test_wrong_actions_are_refused_as_asterisk_does(
    action: str, headers: tuple[tuple[str, str], ...], message: str
) -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        refused = await client.ask(action, *headers)
        assert (refused["Response"], refused["Message"]) == ("Error", message)
        assert refused["ActionID"] == f"ask-{action}"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Context": "nowhere"}, "Extension does not exist."),
        ({"Timeout": "soon"}, "Invalid timeout"),
        ({"ChannelId": "x" * 150}, "Uniqueid length exceeds maximum of 149"),
        ({"Exten": ""}, "Extension does not exist."),
    ],
)
async def test_wrong_originates_are_refused(changed: dict[str, str], message: str) -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        assert (await client.originate("call-1", **changed))["Message"].strip() == message
        assert it.telephone.channels() == []


@pytest.mark.parametrize("second", ["call-10", "call-1", "CALL-1"])
async def test_an_id_that_is_a_prefix_of_a_live_one_fails_without_a_hangup(second: str) -> None:
    async with world(Fate(Ending.HUMAN, 30.0, 1.0)) as it:
        client = await it.login()
        await client.originate("call-10")
        assert (await client.originate(second, "12125550143"))["Response"] == "Success"
        response = await client.until(Event="OriginateResponse")
        assert (response["Response"], response["Reason"], response["Uniqueid"]) == ("Failure", "0", second)
        assert {channel.linkedid or channel.uniqueid for channel in it.telephone.channels()} == {"call-10"}


async def test_a_channel_that_is_no_shopper_reaches_nobody() -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        await client.originate("call-1", Channel="PJSIP/12125550142@trunk")
        assert (await client.until(Event="OriginateResponse"))["Response"] == "Failure"
        assert it.telephone.channels() == []


async def test_nothing_is_done_before_login_and_a_wrong_secret_is_shown_the_door() -> None:
    async with world(HUMAN) as it:
        client = await it.connect()
        assert (await client.ask("Ping"))["Message"] == "Permission denied"
        refused = await client.ask("Login", ("Username", "ringback"), ("Secret", "guess"))
        assert refused["Message"] == "Authentication failed"
        assert await client.reader.read() == b""


async def test_ping_userevent_and_logoff() -> None:
    async with world(HUMAN) as it:
        client = await it.login()
        pong = await client.ask("Ping")
        assert (pong["Ping"], abs(float(pong["Timestamp"]) - time.time()) < DEADLINE) == ("Pong", True)
        sent = await client.ask("UserEvent", ("UserEvent", "Hello"), ("Mood", "good"))
        assert sent["Message"] == "Event Sent"
        await client.until(Event="UserEvent", UserEvent="Hello", Mood="good")
        goodbye = await client.ask("Logoff")
        assert goodbye["Response"] == "Goodbye"
        assert await client.reader.read() == b""


async def test_an_endless_request_is_cut_off_and_the_others_stay() -> None:
    async with world(HUMAN) as it:
        bystander = await it.login()
        client = await it.login()
        client.writer.write(b"Action: " + b"x" * 200_000)
        # The rest of what was sent may be answered by a reset.
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.read()
        assert (await bystander.ask("Ping"))["Ping"] == "Pong"


def test_headers_are_read_in_any_case_and_repeated_ones_kept() -> None:
    request = parse(b"action: Originate\r\nVariable: A=1\r\nvariable:B=2\r\nno colon\r\n\r\n")
    assert request.get("Action") == "Originate"
    assert request.all("VARIABLE") == ["A=1", "B=2"]


def test_only_loopback_is_listened_on() -> None:
    with pytest.raises(SettingsError, match="loopback"):
        AmiServer(Telephone(lambda _n, _a: HUMAN), user="u", secret="s", host="0.0.0.0")  # noqa: S104 - refused


async def test_panoramisk_drives_a_call_and_reads_the_lists() -> None:
    async with world(HUMAN) as it:
        it.telephone.agent_arrives("1001")
        events: asyncio.Queue[Event] = asyncio.Queue()
        manager = Manager(host="127.0.0.1", port=it.server.port, username="ringback", secret="s3cret")
        manager.register_event("*", lambda _manager, event: events.put_nowait(event))

        async def until(**wanted: str) -> Event:
            async with asyncio.timeout(DEADLINE):
                while True:
                    event = await events.get()
                    if all(getattr(event, key) == value for key, value in wanted.items()):
                        return event

        await manager.connect()
        await until(event="FullyBooted")
        rows = await manager.send_action({"Action": "CoreShowChannels"})
        assert [row.exten for row in rows if row.event == "CoreShowChannel"] == ["1001"]
        queued = await manager.send_action(
            {
                "Action": "Originate",
                "Channel": f"Local/{NUMBER}@shoppers",
                "ChannelId": "c" * 32,
                "Context": "ringback-answered",
                "Exten": "s",
                "Priority": "1",
                "Async": "true",
                "Variable": [f"RINGBACK_CALL_ID={'c' * 32}"],
            },
            as_list=False,
        )
        assert queued.success
        await until(event="UserEvent", stage="answered", callid="c" * 32)
        redirect = {"Action": "Redirect", "Channel": "c" * 32, "Context": "ringback-connect", "Exten": "1001"}
        assert (await manager.send_action(redirect | {"Priority": "1"})).success
        await until(stage="connected", agent="1001")
        await until(event="Hangup", cause="16", uniqueid="c" * 32)
        manager.close()

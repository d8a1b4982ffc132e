"""The simulated network against Asterisk: the same actions get the same answers and events, header by header."""

import asyncio
from collections.abc import Awaitable, Callable

from simulation.ami import AmiServer
from simulation.fates import Ending, Fate
from simulation.telephone import Telephone
from tests.servers.asterisk import Asterisk
from tests.simulation.test_ami import Client, Message

# By last digit, as tests/servers/shoppers.py has it; 1907 is the area of the patient.
FATES = {
    "0": Fate(Ending.HUMAN, 0.2, 1.0),
    "4": Fate(Ending.BUSY, 0.01),
    "5": Fate(Ending.NO_ANSWER, 60.0),
    "6": Fate(Ending.CONGESTION, 0.01),
    "7": Fate(Ending.INVALID, 0.01),
    "8": Fate(Ending.DECLINED, 0.2),
    "9": Fate(Ending.HANGS_UP_EARLY, 0.2, 0.5),
}
PATIENT = Fate(Ending.HUMAN, 0.2, 30.0)
REFUSED: tuple[tuple[str, dict[str, str]], ...] = (
    ("Dance", {}),
    ("Originate", {}),
    ("Originate", {"Channel": "nobody"}),
    ("Redirect", {}),
    ("Redirect", {"Channel": "nobody"}),
    ("Redirect", {"Channel": "nobody", "Context": "ringback-connect", "Exten": "1001", "Priority": "1"}),
    ("Hangup", {}),
    ("Hangup", {"Channel": "nobody"}),
    ("Status", {"Channel": "nobody"}),
)
# What no two runs have in common, where in the dialplan a channel is at the moment, and its codecs.
DIFFERS = {
    *("Timestamp", "Uniqueid", "Linkedid", "Channel", "Duration", "BridgeId", "Seconds", "ListItems", "Items"),
    *("Context", "Exten", "Priority", "Application", "ApplicationData", "Data", "Uptime", "LastReload"),
    *("DestUniqueid", "DestLinkedid", "DestChannel", "DestContext", "DestExten", "DestPriority"),
    *("BridgeID", "Nativeformats", "Readformat", "Readtrans", "Writeformat", "Writetrans"),
}

Seen = list[Message]


async def call(client: Client, call_id: str, number: str, **changed: str) -> Seen:
    """Everything that is told of a call that goes its way."""
    before = len(client.seen)
    await client.originate(call_id, number, **changed)
    told = {"Hangup", "OriginateResponse"}
    while told:
        told -= {(await client.read()).get("Event", "")}
    return in_order(client.seen[before:])


def in_order(seen: Seen) -> Seen:
    """Sorted: two threads of Asterisk tell of a call, and either may come first."""
    return sorted(seen, key=lambda message: [message.get(name, "") for name in ("Event", "Stage", "Message")])


async def transcript(port: int, secret: str, log_in_agent: Callable[[Client], Awaitable[None]]) -> dict[str, Seen]:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    assert await client.reader.readline() == b"Asterisk Call Manager/11.0.0\r\n"
    seen: dict[str, Seen] = {"before login": [await client.ask("Ping")]}
    seen["login"] = [await client.ask("Login", ("Username", "ringback"), ("Secret", secret)), await client.read()]
    for number, (action, fields) in enumerate(REFUSED):
        seen[f"refused {number} {action}"] = [await client.ask(action, *fields.items())]
    seen["no such context"] = [await client.originate("a" * 32, Context="nowhere")]
    seen["wrong timeout"] = [await client.originate("a" * 32, Timeout="soon")]
    for digit in "4678":
        seen[f"fails {digit}"] = await call(client, digit * 32, f"1212555011{digit}")
    seen["rings out"] = await call(client, "5" * 32, "12125550115", Timeout="500")
    seen["hangs up early"] = await call(client, "9" * 32, "12125550119")
    seen["abandoned"] = await call(client, "0" * 32, "19075550100")
    await log_in_agent(client)
    before = len(client.seen)
    await client.originate("c" * 32, "12125550120")
    await client.until(Stage="answered")
    place = (("Channel", "c" * 32), ("Context", "ringback-connect"), ("Exten", "1001"), ("Priority", "1"))
    await client.ask("Redirect", *place)
    await client.until(Stage="connected")
    await client.ask("Status", ("Channel", "c" * 32))
    await client.until(Event="StatusComplete")
    await client.until(Event="Hangup")
    seen["connected"] = sorted(
        client.seen[before:], key=lambda m: (m.get("Event", ""), m.get("Stage", m.get("Message", "")))
    )
    seen["logoff"] = [await client.ask("Logoff")]
    client.writer.close()
    return seen


def comparable(seen: Seen) -> list[list[tuple[str, str]]]:
    """Header names in their order, with the values that any run would have."""
    return [
        [
            (name.partition("(")[0], "" if name.partition("(")[0] in DIFFERS else value)
            for name, value in message.items()
        ]
        for message in seen
    ]


async def test_the_simulated_network_speaks_as_asterisk_does(asterisk: Asterisk) -> None:
    telephone = Telephone(lambda number, _attempt: PATIENT if number.startswith("1907") else FATES[number[-1]])
    server = AmiServer(telephone, user="ringback", secret="s3cret")
    await server.start()

    async def arrive(client: Client) -> None:
        telephone.agent_arrives("1001")
        await client.until(UserEvent="RingbackAgent")

    async def dial_in(client: Client) -> None:
        leg = (("Channel", "Local/1001@ringback-agent"), ("Application", "Wait"), ("Data", "60"), ("Async", "true"))
        await client.ask("Originate", *leg)
        told = {"OriginateResponse", "UserEvent"}
        while told:
            told -= {(await client.read()).get("Event", "")}

    try:
        simulated = await transcript(server.port, "s3cret", arrive)
    finally:
        await server.close()
        await telephone.close()
    real = await transcript(asterisk.port, asterisk.secret, dial_in)
    for scene, seen in real.items():
        assert comparable(simulated[scene]) == comparable(seen), scene

"""Requests that are nearly right: the golden fixtures with values, members, bytes and headers changed. Deterministic.

A fixture is written out once, with the place of each value in it; a change then is a cut in its bytes, so that a
million bodies take seconds, and what is no JSON can be made as easily as what is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

FIXTURES = Path(__file__).parent.parent / "ingest" / "fixtures"

_VALUE_OF_FORM = re.compile(rb"(?:^|&)([^&=]*=([^&]*))")

_WHOLE = (b"null", b"true", b"false", b"0", b"1", b"-1", b"[]", b"{}", b"[null]", b"[[]]", b"[{}]", b'{"":null}')
_NUMBERS = (
    *(
        b"1e999999",
        b"-1e999999",
        b"1E-999999",
        b"1e400",
        b"1e1000000000000000000000",
        b"NaN",
        b"Infinity",
        b"-Infinity",
    ),
    *(b"-0", b"-0.0", b"0.1", b"19.999", b"-19.99", b"59.970000000000006", b"0.00000000000000000000000000000000000001"),
    *(b"9007199254740993", b"9223372036854775808", b"18446744073709551616", b"-9223372036854775809", b"1" + b"0" * 60),
    *(b"9" * 5000, b"-" + b"9" * 5000, b"0." + b"3" * 5000, b"01", b".5", b"1.", b"+1", b"0x10", b"1_000", b"1e"),
    *(b"1790000000", b"1790000000000", b"253402300800", b"-62135596801", b"1e18"),
)
_TEXTS = (
    *(b'""', b'" "', b'"0"', b'"-1"', b'"1"', b'"null"', b'"NaN"', b'"sNaN"', b'"-Infinity"', b'"1e999999"', b'"1e-9"'),
    *(
        b'"19.999"',
        b'"-19.99"',
        b'"1_000"',
        b'"12,50"',
        b'"$12"',
        b'" 12 "',
        b'"0x10"',
        b'"1e3"',
        b'"%s"' % (b"9" * 41),
    ),
    *('"\u0661\u0662"'.encode(), '"\u00b2"'.encode(), '"\u20ac 5"'.encode(), b'"USD"', b'"JPY"', b'"KWD"', b'"XXX"'),
    *(b'"usd"', '"\u0131sd"'.encode(), '"\u00df"'.encode(), b'"undefined"', b'"[object Object]"'),
)
_TIMES = (
    *(b'"0001-01-01T00:00:00+14:00"', b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59-14:00"', b'"2026-13-01"'),
    *(b'"2026-09-21"', b'"20260921T141320Z"', b'"2026-W39-1"', b'"2026-09-21T14:13:20.123456789Z"', b'"T"', b'"now"'),
    *(b'"2026-09-21T14:13:20+23:59:59.999999"', b'"2026-09-21T24:00:00Z"', b'"2026-02-30T00:00:00Z"'),
    *(b'"2050-09-21T14:13:20Z"', b'"1970-01-01T00:00:00Z"', b'"1969-12-31T23:59:59Z"', b'"2026-09-21 14:13:20"'),
)
_LETTERS = (
    *(rb'"\ud83d"', rb'"\udc00"', rb'"\ud83d\ude00"', rb'"\ud83dx\ude00"', rb'"\ude00\ud83d"', rb'"\\ud83d"'),
    *(rb'"\u0000"', rb'"\u202e"', rb'"\ufeff"', rb'"\u00A0"', rb'"\u2028"', rb'"\uD8"', rb'"\x"', b'"\\"', b'"'),
    *(b'"\0"', b'"\n"', b'"\xff\xfe"', b'"\xc0\x80"', b'"\xed\xa0\xbd"', b'"\xf4\x90\x80\x80"', b'"\xc3"'),
    *(
        '"\u200b"'.encode(),
        '"\u2003"'.encode(),
        '"e\u0301"'.encode(),
        '"\U0010ffff"'.encode(),
        '"\U0001f468\u200d"'.encode(),
    ),
)
_LONG = tuple(
    b'"%s"' % (piece * count) for piece in (b"x", b" ", b"9", rb"\ud83d", b"\xf0\x9f\x98\x80") for count in (257, 9000)
)
_ODD = (_WHOLE, _WHOLE, _NUMBERS, _TEXTS, _TIMES, _LETTERS, _LONG)
_PIECES = (
    b"\0",
    b"\xff",
    b"\\",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"&",
    b"=",
    b"%",
    b"-",
    b"e9",
    b"\n",
    b"\\ud83d",
)
_PIECES_OF_HEADERS = (
    "",
    " ",
    "\t",
    "\xff",
    "\xe9",
    "\x85",
    "%",
    "%ff%00",
    "%ED%A0%80",
    "x" * 300,
    "0",
    "-1",
    "NaN",
    "1e999",
)
_NAMES = (b'""', b'"id"', b'"0"', rb'"\u0000"', b'"x"', b"x", b"1", b"null")

_DEEP = (2, 39, 41, 600, 5000)
_NESTINGS = ((b"[", b"]"), (b'{"x":', b"}"), (b"[{", b"}]"), (b'{"name":"a","value":', b"}"))
_MOST_ELEMENTS = 9_999  # as many events as one request may have


class Request(NamedTuple):
    """One request: ``headers`` with lower-case names, and the body."""

    headers: Mapping[str, str]
    body: bytes


class Place(NamedTuple):
    """Where a value is in a body: from ``value`` to ``end``; ``start`` is where its member begins, name and all."""

    start: int
    value: int
    end: int


class Written(NamedTuple):
    """A body with the places of its values, and what separates two of them."""

    body: bytes
    places: list[Place]
    separator: bytes


@cache
def fixtures(platform: str) -> tuple[Request, ...]:
    """The golden fixtures of a platform, in the order of their names."""
    return tuple(_fixture(file) for file in sorted((FIXTURES / platform).glob("*.json")))


def requests(platform: str, seed: int, most_bytes: int, big: float = 0.0) -> Iterator[Request]:
    """Changed fixtures without end, the same for the same seed; a share of ``big`` fills ``most_bytes``."""
    draw = Random(f"{platform} {seed}")
    given = fixtures(platform)
    bodies = [written(one.body) for one in given]
    while True:
        chosen = draw.randrange(len(given))
        headers: Mapping[str, str] = given[chosen].headers
        chance = draw.random()
        if chance < 0.05:  # another topic's
            headers = draw.choice(given).headers
        elif chance < 0.15:
            headers = changed_headers(headers, draw)
        if draw.random() < big:
            body = _filled(bodies[chosen], draw, most_bytes)
        elif draw.random() < 0.04:
            body = _soup(draw)
        else:
            body = changed(bodies[chosen], draw)
        yield Request(headers, body[:most_bytes])


def written(body: bytes) -> Written:
    """A body with the places of its values: of JSON, or else of a form."""
    try:
        node = json.loads(body)
    except (ValueError, RecursionError):
        found = [Place(one.start(1), one.start(2), one.end(2)) for one in _VALUE_OF_FORM.finditer(body)]
        return Written(body, found, b"&")
    out, places = bytearray(), list[Place]()
    try:
        _write(node, out, places, 0)
        return Written(bytes(out), places, b",")
    except (ValueError, RecursionError):  # numbers and nesting that can be read, but not written
        return Written(body, [], b",")


def changed(given: Written, draw: Random) -> bytes:
    """A body with one to four of its values changed, and every sixth time some of its bytes."""
    body = given.body
    if given.places:
        places = sorted((draw.choice(given.places) for _ in range(draw.choice((1, 1, 2, 4)))), reverse=True)
        untouched = len(body)
        for place in places:
            if place.end <= untouched:
                body = body[: place.start] + _edited(given, place, draw) + body[place.end :]
                untouched = place.start
    return changed_bytes(body, draw) if draw.random() < 0.16 or not given.places else body


def changed_bytes(body: bytes, draw: Random) -> bytes:
    """A body with up to four of its bytes or stretches of them changed; what they mean does not matter."""
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(body) + 1)
        until = min(len(body), at + draw.choice((1, 1, 2, 8, 100)))
        match draw.randrange(6):
            case 0:
                body = body[:at] + bytes((draw.randrange(256),)) + body[at + 1 :]
            case 1:
                body = body[:at] + draw.choice(_PIECES) + body[at:]
            case 2:
                body = body[:at] + body[until:]
            case 3:
                body = body[:until] + body[at:]
            case 4:
                body = body[:at] + draw.choice(draw.choice(_ODD)) + body[until:]
            case _:
                body = body[:at] if draw.random() < 0.5 else body[:at] + draw.randbytes(until - at) + body[until:]
    return body


def changed_headers(headers: Mapping[str, str], draw: Random) -> dict[str, str]:
    """Headers of which one is gone or has another value: of the characters that HTTP lets through."""
    made = dict(headers)
    if not made:
        return made
    name = draw.choice(sorted(made))
    old, piece = made.pop(name), draw.choice(_PIECES_OF_HEADERS)
    match draw.randrange(4):
        case 0:
            pass
        case 1:
            made[name] = piece
        case 2:
            at = draw.randrange(len(old) + 1)
            made[name] = old[:at] + piece + old[at:]
        case _:
            made[name] = draw.choice(draw.choice((_TEXTS, _TIMES))).decode("latin-1").strip('"')
    return made


def _fixture(file: Path) -> Request:
    told: dict[str, Any] = json.loads(file.read_text())
    body = told["text"] if "text" in told else json.dumps(told["body"], ensure_ascii=False)
    return Request({name.lower(): value for name, value in told["headers"].items()}, body.encode())


def _write(node: object, out: bytearray, places: list[Place], start: int) -> None:
    value = len(out)
    if isinstance(node, dict | list):
        out += b"{" if isinstance(node, dict) else b"["
        for place, one in enumerate(node):
            out += b"," if place else b""
            begun = len(out)
            if isinstance(node, dict):
                out += json.dumps(one).encode() + b":"
                _write(node[one], out, places, begun)
            else:
                _write(one, out, places, begun)
        out += b"}" if isinstance(node, dict) else b"]"
    else:
        out += json.dumps(node).encode()
    places.append(Place(start, value, len(out)))


def _odd(draw: Random) -> bytes:
    chance = draw.random()
    if chance < 0.9:
        return draw.choice(draw.choice(_ODD))
    if chance < 0.94:
        return repr(draw.uniform(-1, 1) * 10.0 ** draw.randrange(-20, 30)).encode()
    if chance < 0.97:
        return str(draw.randrange(-(10**9), 10**9)).encode()
    return b'"' + "".join(chr(draw.randrange(32, 0xD800)) for _ in range(draw.randrange(1, 20))).encode() + b'"'


def _edited(given: Written, place: Place, draw: Random) -> bytes:
    """What stands in the place of a member or element: without its value, with another, twice, deeper and so on."""
    name, value = given.body[place.start : place.value], given.body[place.value : place.end]
    is_form = given.separator == b"&"
    odd = _odd(draw)
    if is_form and draw.random() < 0.8:
        odd = quote(odd.strip(b'"')).encode()
    match draw.randrange(12):
        case 0:  # a member that nobody reads is as good as none
            return b"x=" if is_form else b'"-":0' if name else b"null"
        case 1:
            return name + value + given.separator + name + odd
        case 2:
            return name + odd + given.separator + name + value
        case 3:
            count = draw.choice(_DEEP)
            return name + b"[" * count + value + b"]" * count
        case 4:
            count = draw.choice(_DEEP)
            return name + b'{"x":' * count + value + b"}" * count
        case 5:  # a text for a number, a number for a text
            return name + (value[1:-1] if value[:1] == b'"' else b'"' + value + b'"')
        case 6:
            at = draw.randrange(len(value) + 1)
            return name + value[:at] + odd.strip(b'"') + value[at:]
        case 7:
            return (draw.choice(_NAMES) + b":" + value) if name and not is_form else value + given.separator + value
        case _:
            return name + odd


def _filled(given: Written, draw: Random, most: int) -> bytes:
    """A body filled up to ``most`` bytes in one or two places; what is slow is often one long part beside another."""
    if draw.random() < 0.1 or not given.places:  # the whole body as the elements of one array
        return b"[" + _row(given.body, b",", most - 2) + b"]"
    body, untouched = given.body, len(given.body)
    places = sorted((draw.choice(given.places) for _ in range(draw.choice((1, 2)))), reverse=True)
    room = (most - len(body)) // len(places)
    for place in places:
        if place.end <= untouched:
            body = body[: place.start] + _filling(given, place, draw, room) + body[place.end :]
            untouched = place.start
    return body


def _filling(given: Written, place: Place, draw: Random, room: int) -> bytes:
    """What fills a member's or element's place: itself again and again, a list, a long text or number, or nesting."""
    name, value = given.body[place.start : place.value], given.body[place.value : place.end]
    most = draw.choice((_MOST_ELEMENTS, room))
    match draw.randrange(7):
        case 0:
            return _row(name + value, given.separator, room, most)
        case 1:
            return name + b"[" + _row(value, b",", room, most) + b"]"
        case 2:
            return name + b"[" + _row(draw.choice(draw.choice(_ODD)), b",", room, most) + b"]"
        case 3:
            return name + b"{" + b",".join(b'"%d":0' % number for number in range(room // 10)) + b"}"
        case 4:
            piece = draw.choice((b"x", b" ", b"9", rb"\ud83d", rb"\\", rb"\"", b"\xf0\x9f\x98\x80", b"%41", b"+"))
            return name + b'"' + piece * (room // len(piece)) + b'"'
        case 5:
            return name + draw.choice((b"9", b"0.", b"1e", b"-", b"[", b"{", b'"')) + draw.choice((b"0", b"3")) * room
        case _:
            opening, closing = draw.choice(_NESTINGS)
            count = room // (len(opening) + len(closing))
            return name + opening * count + value + closing * count


def _row(part: bytes, separator: bytes, room: int, most: int | None = None) -> bytes:
    count = max(1, room // (len(part) + len(separator)))
    return separator.join([part] * (count if most is None else min(count, most)))


def _soup(draw: Random) -> bytes:
    if draw.random() < 0.5:
        return draw.randbytes(draw.choice((0, 1, 2, 10, 200)))
    return b"".join(draw.choice(_PIECES) if draw.random() < 0.6 else _odd(draw) for _ in range(draw.randrange(30)))

"""What a message says. Pure. Who writes, to whom, what is left in the cart, how to answer and how to opt out; no offer.

Names and titles come from outside: whoever fills in a shop's form chooses a name, and the number that gets it. So a
name is letters only, and what could be a link or an address is left out.
"""

import re
from collections.abc import Iterator

from ringback.decisions import Message
from ringback.records import Channel, Item

SMS_SEPTETS = 160
LONGEST_NAME = 20
LONGEST_TITLE = 40
OPT_OUT = "Reply STOP to opt out."

# GSM 03.38 (3GPP TS 23.038, 6.2.1): the default alphabet, and the characters that take an escape before them.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_ESCAPED = frozenset("\f^{}\\[~]|€")
_PLAIN = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{NO-BREAK SPACE}": " ",
    }
)

_NAME = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
# An address (x@y, x://y, shop.example) or a number that could be called.
_LINK = re.compile(r"@|/|[^\W\d_]\.[^\W_]|\d\.[^\W\d_]|(?:\d[\s().-]*){7}")


def text(message: Message, shop_name: str) -> str:
    """The text for a message.

    An SMS is the richest text that fits into one part of 160 GSM characters. Where none does, because the shop's name
    has other characters than GSM's, it is the shortest.
    """
    variants = list(_variants(message, _plain(shop_name)))
    if message.channel is not Channel.SMS:
        return variants[0]
    for variant in variants:
        length = septets(variant)
        if length is not None and length <= SMS_SEPTETS:
            return variant
    return variants[-1]


def septets(content: str) -> int | None:
    """How long a text is in the GSM alphabet; None when it has characters that are not in it."""
    escaped = sum(character in _GSM_ESCAPED for character in content)
    known = escaped + sum(character in _GSM for character in content)
    return known + escaped if known == len(content) else None


def _variants(message: Message, shop: str) -> Iterator[str]:
    """From the richest to the barest, which is also the shortest."""
    named, counted = _first_item(message.items), _count(message.items)
    for greeting in dict.fromkeys((_greeting(message.name), "Hi")):
        for left in filter(None, (named, counted)):
            yield (
                f"{greeting}, this is {shop}. You left {left} in your cart. "
                f"Any questions? Just reply and we will help. {OPT_OUT}"
            )
    for left in filter(None, (named, counted)):
        yield f"{shop}: you left {left} in your cart. Questions? Just reply. {OPT_OUT}"
    yield f"{shop}: your cart is still here. Questions? Just reply. {OPT_OUT}"


def _greeting(name: str | None) -> str:
    words = _plain(name or "").split()
    first = words[0] if words else ""
    return f"Hi {first}" if len(first) <= LONGEST_NAME and _NAME.fullmatch(first) else "Hi"


def _first_item(items: tuple[Item, ...]) -> str | None:
    """The line that is worth most, by its title, and how many others there are."""
    if not items:
        return None
    dearest = max(items, key=lambda item: item.unit_price * item.quantity)
    title = _plain(dearest.title or "")
    if not title or _LINK.search(title):
        return None
    if len(title) > LONGEST_TITLE:
        title = title[: LONGEST_TITLE - 3].rstrip(" ,;.-") + "..."
    others = len(items) - 1
    return f"{title} and {others} more" if others else title


def _count(items: tuple[Item, ...]) -> str | None:
    pieces = sum(item.quantity for item in items)
    if not pieces:
        return None
    return "1 item" if pieces == 1 else f"{pieces:,} items"


def _plain(given: str) -> str:
    """One line without control characters, typographic marks as GSM has them."""
    spaced = given.translate(_PLAIN)
    return " ".join("".join(c if c.isprintable() else " " for c in spaced).split())

"""Tables of words that free text is sorted by: what a shop calls a category, or where it says a visit came from."""

import re
from collections.abc import Mapping

_WORD = re.compile(r"[^\W\d_]+")


def words(text: str) -> list[str]:
    """The words of a text in lower case and without a plural s."""
    return [_stem(word) for word in _WORD.findall(text.lower())]


def table(listed: Mapping[str, str]) -> dict[str, str]:
    """Which level each word belongs to, from the words of each level."""
    return {word: level for level, some in listed.items() for word in words(some)}


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

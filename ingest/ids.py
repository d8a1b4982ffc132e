"""Ids in what platforms send: those that tell whose an event is, and the one that an event is known by. Pure."""

from hashlib import blake2b

from ingest.fields import Json, text
from ringback.validation import LONGEST_ID

# What broken trackers send in place of an id; taken for one, it would make one shopper of many.
PLACEHOLDERS = frozenset(
    {
        *(
            "null",
            "undefined",
            "none",
            "nil",
            "nan",
            "true",
            "false",
            "0",
            "-1",
            "n/a",
            "unknown",
            "anonymous",
            "guest",
        ),
        *("(not set)", "(none)", "[object object]", "00000000-0000-0000-0000-000000000000"),
    }
)


def ref(node: Json, *names: str) -> str | None:
    """The first of the fields that has an id: neither blank, nor too long to be one, nor a placeholder."""
    for name in names:
        given = text(node, name)
        if given and len(given) <= LONGEST_ID and given.lower() not in PLACEHOLDERS:
            return given
    return None


def email(node: Json, *names: str) -> str | None:
    """The first of the fields that has an e-mail address, in lower case."""
    for name in names:
        given = ref(node, name)
        if given and "@" in given[1:-1] and len(given.split()) == 1:
            return given.lower()
    return None


def event_id(*parts: str) -> str:
    """One id of several parts: the same for the same parts and for no others, and never too long."""
    joined = " ".join(parts)
    if len(joined) <= LONGEST_ID and all(len(part.split()) == 1 for part in parts[:-1]):
        return joined
    return digest(*(part.encode() for part in parts))


def digest(*parts: bytes) -> str:
    """An id for what has none of its own: a hash of what it says."""
    state = blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()

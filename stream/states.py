"""The decoded states that a worker has at hand, over the shelf where all of them lie encoded."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from stream.shelf import Shelf

S = TypeVar("S")


class CachedStates(Generic[S]):
    """States of one partition: the last used are kept decoded, and those not written yet are never let go.

    What is put is at first known here alone. `taken` says that all of it is on its way to the changelog, `settled` that
    it arrived and lies on the shelf.
    """

    def __init__(self, shelf: Shelf, capacity: int, decode: Callable[[bytes], S]) -> None:
        self._shelf = shelf
        self._capacity = capacity
        self._decode = decode
        self._held: dict[bytes, S | None] = {}
        self._changed: set[bytes] = set()

    def get(self, key: bytes) -> S | None:
        """The state of a shopper; None for one who is not known."""
        try:
            return self._held[key]
        except KeyError:
            encoded = self._shelf.get(key)
            if encoded is None:
                return None
            state = self._held[key] = self._decode(encoded)
            return state

    def peek(self, key: bytes) -> S | None:
        """The state of a shopper who is only looked at in passing: it is not kept decoded."""
        if key in self._held:
            return self._held[key]
        encoded = self._shelf.get(key)
        return None if encoded is None else self._decode(encoded)

    def put(self, key: bytes, state: S) -> None:
        """Set a state."""
        self._held[key] = state
        self._changed.add(key)

    def delete(self, key: bytes) -> None:
        """Forget a shopper."""
        self._held[key] = None
        self._changed.add(key)

    def keys(self) -> Iterable[bytes]:
        """The shoppers whose states were written; they may change while this is iterated."""
        return self._shelf.keys()

    def taken(self) -> None:
        """What was put until now is being written."""
        self._changed = set()

    def settled(self) -> None:
        """What was taken lies on the shelf; the oldest decoded states make room."""
        if len(self._held) > self._capacity:
            room = len(self._held) - self._capacity * 3 // 4
            spare = (key for key in list(self._held) if key not in self._changed)
            for key, _ in zip(spare, range(room), strict=False):
                del self._held[key]

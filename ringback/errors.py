"""Ringback's own errors.

RingbackError
├── SettingsError      a setting is missing, unknown or wrong
├── BadEvent           an event that can't be used; ends as a dead letter
├── ModelRefused       a model folder whose hashes or features do not fit
├── NotPromoted        a change of the registry that must not be made
└── Unavailable        a server needed for a step can't be reached
"""

from enum import StrEnum


class RingbackError(Exception):
    """Base of all errors that Ringback raises on purpose."""


class SettingsError(RingbackError):
    """A setting is missing, unknown or wrong; the message names key, expectation and value."""


class BadEvent(RingbackError):
    """An event can't be used.

    ``reason`` is one of `ringback.records.DeadLetterReason`; the message says more.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Misfit(StrEnum):
    """What is wrong with a model folder."""

    UNREADABLE = "unreadable"
    CHANGED = "changed"
    FOREIGN = "foreign"
    FEATURES = "features"
    GOLDEN_ROWS = "golden_rows"
    UNPROVEN = "unproven"
    UNEXPECTED = "unexpected"


class ModelRefused(RingbackError):
    """A model folder is incomplete, or a hash or the feature list differs from its manifest; ``misfit`` says which."""

    def __init__(self, message: str, misfit: Misfit = Misfit.UNREADABLE) -> None:
        super().__init__(message)
        self.misfit = misfit


class NotPromoted(RingbackError):
    """A change of the model registry was refused; nothing was changed."""


class Unavailable(RingbackError):
    """A server needed for a step can't be reached; nothing was done."""

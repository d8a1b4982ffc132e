"""What an agent reads about a cart, from the feature contributions to its score: sentences out of ``reasons.toml``.

Only what argues for a purchase, or tells where the shopper stopped, is said. The features are those of
`scoring.features`, none of which is a protected attribute, so no sentence can be about one.
"""

import math
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ringback.errors import BadEvent, SettingsError
from ringback.money import exponent
from ringback.records import Item
from scoring.features import FEATURES, Feature
from scoring.industry import INDUSTRIES, OTHER, basket
from scoring.sentences import Sentence, parse

SHIPPED = Path(__file__).with_suffix(".toml")
MOST_REASONS = 3
FEW_POINTS, MOST_POINTS = 3, 4
LEAST_POINTS = 2
# Of log-odds: half a point of probability at most.
LEAST_CONTRIBUTION = 0.02
LONGEST_PRODUCT = 60
ABOUT_FAVOURITE = "most_cart_views"

_FEATURES = {feature.name: feature for feature in FEATURES}
_PLACE = {feature.name: place for place, feature in enumerate(FEATURES)}

Limit = Annotated[float, msgspec.Meta(ge=0)]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a feature must be. A missing value meets no condition."""

    at_least: float | None = None
    at_most: float | None = None
    equals: str | None = None

    def holds(self, feature: Feature, value: float) -> bool:
        """Whether a value of the feature meets it."""
        if math.isnan(value):
            return False
        if self.equals is not None:
            return value == feature.levels.index(self.equals)
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class _Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"in_": "in"}):
    feature: str
    shows: Literal["for", "stop"]
    sentence: str
    at_least: float | None = None
    at_most: float | None = None
    equals: str | None = None
    in_: dict[str, str] = {}


class _Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    objection: str
    say: str
    industries: tuple[str, ...] = ()
    when: dict[str, Condition] = {}
    price: Literal["high", "low"] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: tuple[_Reason, ...]
    talking_point: tuple[_Point, ...]
    steps: dict[str, str]
    groups: dict[str, tuple[str, ...]] = {}
    high_price: dict[str, Limit] = {}


@dataclass(frozen=True, slots=True)
class Basket:
    """What a cart holds, minor units; ``favourite`` is the product that was looked at most, None where none was."""

    lines: tuple[Item, ...]
    currency: str | None
    favourite: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """When a sentence is said, and how in which industry."""

    feature: str
    group: str
    stops: bool
    condition: Condition
    sentences: Mapping[str, Sentence]

    def is_said(self, row: Sequence[float], strength: float) -> bool:
        """Whether it holds for a row, and is worth saying: by the contribution of its group, log-odds."""
        if not self.condition.holds(_FEATURES[self.feature], row[_PLACE[self.feature]]):
            return False
        return self.stops or strength >= LEAST_CONTRIBUTION


@dataclass(frozen=True, slots=True)
class Phrases:
    """A file of sentences, checked."""

    reasons: tuple[Reason, ...]
    points: tuple[_Point, ...]
    groups: Mapping[str, tuple[str, ...]]
    steps: Mapping[int, str]
    high_price: Mapping[str, float]

    def reasons_for(self, row: Sequence[float], contributions: Sequence[float], held: Basket) -> tuple[str, ...]:
        """The strongest reasons, at most three, one for each group of features; the strongest first.

        ``row`` and ``contributions`` (log-odds) are in the order of `FEATURES`. A group is as strong as its features
        together: which of them a tree asks is chance. Where the shopper stopped is always among them, if it is known.
        """
        strength = {group: sum(contributions[_PLACE[name]] for name in names) for group, names in self.groups.items()}
        found: dict[str, Reason] = {}
        for reason in self.reasons:
            if reason.group not in found and reason.is_said(row, strength[reason.group]):
                found[reason.group] = reason
        strongest = sorted(found.values(), key=lambda reason: -abs(strength[reason.group]))
        chosen = strongest[:MOST_REASONS]
        stops = [reason for reason in strongest if reason.stops]
        if stops and stops[0] not in chosen:
            chosen[-1] = stops[0]
        industry = basket(held.lines) or OTHER
        return tuple(
            reason.sentences[industry].say(row[_PLACE[reason.feature]], _product(held, reason.feature), self.steps)
            for reason in chosen
        )

    def points_for(self, row: Sequence[float], held: Basket) -> tuple[str, ...]:
        """Two to four talking points, one for each likely objection; those that this cart calls for come first."""
        industry, price = basket(held.lines) or OTHER, self._price(held)
        answers: dict[str, int] = {}
        for place, point in enumerate(self.points):
            if _fits(point, row, industry, price):
                known = answers.get(point.objection)
                if known is None or _specific(point) > _specific(self.points[known]):
                    answers[point.objection] = place
        in_order = [self.points[place] for place in sorted(answers.values())]
        chosen = [point for point in in_order if _is_conditional(point)][:MOST_POINTS]
        others = [point for point in in_order if not _is_conditional(point)]
        return tuple(point.say for point in chosen + others[: max(0, FEW_POINTS - len(chosen))])

    def _price(self, held: Basket) -> str | None:
        if held.currency is None or held.currency not in self.high_price:
            return None
        try:
            high = self.high_price[held.currency] * 10 ** exponent(held.currency)
        except BadEvent:
            return None
        return "high" if sum(line.unit_price * line.quantity for line in held.lines) >= high else "low"


def _is_conditional(point: _Point) -> bool:
    return bool(point.when) or point.price is not None


def _specific(point: _Point) -> tuple[int, bool]:
    return len(point.when) + (point.price is not None), bool(point.industries)


def _fits(point: _Point, row: Sequence[float], industry: str, price: str | None) -> bool:
    if (point.industries and industry not in point.industries) or point.price not in (None, price):
        return False
    return all(condition.holds(_FEATURES[name], row[_PLACE[name]]) for name, condition in point.when.items())


def _product(held: Basket, feature: str) -> str:
    """How a product is called: by its title where it is known which one is meant, else in neutral words."""
    if feature == ABOUT_FAVOURITE:
        meant = [line for line in held.lines if line.product_id == held.favourite]
    else:
        meant = list(held.lines)
    if len(meant) == 1 and meant[0].title:
        # A title is the shop's text: one line of it, and no control characters.
        title = " ".join("".join(letter if letter.isprintable() else " " for letter in meant[0].title).split())
        if title:
            return f"“{title if len(title) <= LONGEST_PRODUCT else title[: LONGEST_PRODUCT - 1].rstrip() + '…'}”"
    return "the product" if len(held.lines) == 1 else "the same product"


@cache
def load(file: Path | None = None) -> Phrases:
    """The sentences of a file; None: those that ship with Ringback.

    Raises `SettingsError`, which names the file, the entry, and what is wrong with it.
    """
    path = file or SHIPPED
    try:
        given = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
        return _checked(given)
    except OSError as error:
        raise SettingsError(f"scoring.reasons: {path} can't be read ({error.strerror})") from None
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"scoring.reasons: {path}: {error}") from None


def _checked(given: _File) -> Phrases:
    groups = _groups(given)
    group_of = {name: group for group, names in groups.items() for name in names}
    reasons = tuple(_reason(reason, group_of) for reason in given.reason)
    for point in given.talking_point:
        where = f"talking point “{point.say}”"
        _known(point.industries, INDUSTRIES, where, "industry")
        _known(point.when, _FEATURES, where, "feature")
        for name, condition in point.when.items():
            _possible(condition, _FEATURES[name], where)
    for industry in INDUSTRIES:
        always = {
            point.objection
            for point in given.talking_point
            if not _is_conditional(point) and (not point.industries or industry in point.industries)
        }
        if len(always) < LEAST_POINTS:
            raise SettingsError(
                f"industry {industry}: {len(always)} objections have a talking point without conditions; "
                f"write {LEAST_POINTS} at least"
            )
    return Phrases(reasons, given.talking_point, groups, _steps(given.steps), given.high_price)


def _groups(given: _File) -> dict[str, tuple[str, ...]]:
    """All groups; a feature that is in none is one by itself."""
    grouped: dict[str, str] = {}
    for group, names in given.groups.items():
        _known(names, _FEATURES, f"group {group}", "feature")
        for name in names:
            if grouped.setdefault(name, group) != group:
                raise SettingsError(f"group {group}: feature {name} is in group {grouped[name]} already")
    return {**given.groups, **{name: (name,) for name in _FEATURES if name not in grouped}}


def _reason(given: _Reason, group_of: Mapping[str, str]) -> Reason:
    where = f"reason “{given.sentence}”"
    _known((given.feature,), _FEATURES, where, "feature")
    _known(given.in_, INDUSTRIES, where, "industry")
    feature = _FEATURES[given.feature]
    condition = Condition(given.at_least, given.at_most, given.equals)
    _possible(condition, feature, where)
    sentences = {name: parse(given.in_.get(name, given.sentence), feature.unit) for name in INDUSTRIES}
    return Reason(given.feature, group_of[given.feature], given.shows == "stop", condition, sentences)


def _possible(condition: Condition, feature: Feature, where: str) -> None:
    limits = [limit for limit in (condition.at_least, condition.at_most) if limit is not None]
    if (condition.equals is None) == (not limits):
        raise SettingsError(f"{where}: {feature.name} needs either at_least or at_most or both, or equals")
    if condition.equals is not None and condition.equals not in feature.levels:
        levels = ", ".join(feature.levels) or "none: use at_least and at_most"
        raise SettingsError(f"{where}: {feature.name} has no level {condition.equals!r}; there are {levels}")
    if limits and feature.levels:
        raise SettingsError(f"{where}: {feature.name} is a level: use equals")
    if limits != sorted(limits):
        raise SettingsError(f"{where}: {feature.name} can't be at least {limits[0]:g} and at most {limits[1]:g}")


def _steps(given: Mapping[str, str]) -> dict[int, str]:
    if not given or not all(step.isdecimal() and int(step) > 0 for step in given):
        raise SettingsError("steps: the names of the checkout's steps are needed by number, from 1")
    return {int(step): name for step, name in given.items()}


def _known(names: Iterable[str], known: Collection[str], where: str, what: str) -> None:
    for name in names:
        if name not in known:
            raise SettingsError(f"{where}: there is no {what} {name!r}; there are {', '.join(known)}")

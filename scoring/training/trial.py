"""Rows of a trial: chance decided who was treated, so that the effect of a contact can be learnt from them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringback.records import Channel
from scoring.data.contacts import UpliftRows
from scoring.dataset import Column, Dataset, Mask
from scoring.errors import TrainingError
from scoring.features import FEATURES
from scoring.uplift import Arms

if TYPE_CHECKING:
    from scoring.manifest import DataSource

LEAST_BUYERS = 20
# So many rows with the label and none without it is no accident unless nearly all rows have it.
PURE_ROWS = 30


@dataclass(frozen=True, slots=True)
class Trial:
    """Rows of both arms; all arrays have as many entries as there are rows.

    ``treated`` is whom a contact was meant for, whether or not it reached them. Of a ``log``, vectors are those of
    `scoring.features.vector` as they were served; ``groups`` tell shoppers apart.
    """

    kind: Literal["log", "table"]
    columns: tuple[Column, ...]
    vectors: NDArray[np.float64]
    labels: Mask
    treated: Mask
    groups: NDArray[np.int64] | None
    source: "DataSource"
    arms: Arms
    horizon: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def check(self) -> None:
        """Raise `TrainingError` where the trial can't teach anything."""
        for name, arm in (("treated", self.treated), ("untreated", ~self.treated)):
            buyers = int(self.labels[arm].sum())
            if not LEAST_BUYERS <= buyers <= int(arm.sum()) - LEAST_BUYERS:
                raise TrainingError(
                    f"{self.source.name}: of {int(arm.sum())} {name} rows {buyers} have the label; an uplift model "
                    f"needs {LEAST_BUYERS} with it and {LEAST_BUYERS} without it in each arm: collect a longer log, "
                    "or a larger holdout"
                )

    def outcomes(self) -> dict[str, str]:
        """The columns that know the outcome, and by what: they were written after it, and a model must not see them."""
        found = {}
        for column, values in zip(self.columns, self.vectors.T, strict=True):
            pure = _pure_end(values, self.labels)
            if pure is not None:
                found[column.name] = f"knows the outcome: all {pure[1]} rows with {pure[0]} have the label"
        return found

    def without(self, names: frozenset[str]) -> "Trial":
        """The same rows without these columns. Raises `TrainingError` where none would be left."""
        kept = [place for place, column in enumerate(self.columns) if column.name not in names]
        if not kept:
            raise TrainingError(f"{self.source.name}: no column is left that does not know the outcome")
        return replace(
            self,
            columns=tuple(self.columns[place] for place in kept),
            vectors=np.ascontiguousarray(self.vectors[:, kept]),
        )


def _pure_end(values: NDArray[np.float64], labels: Mask) -> tuple[str, int] | None:
    """A range of values at either end in which all of many rows have the label, though most rows have not."""
    known = ~np.isnan(values)
    if labels.mean() > 1 / 2 or not known.any():
        return None
    numbers, bought = values[known], labels[known]
    bare = numbers[~bought]
    low, high = (float(bare.min()), float(bare.max())) if len(bare) else (np.inf, -np.inf)
    for words, beyond in ((f"more than {high:g}", numbers > high), (f"less than {low:g}", numbers < low)):
        if beyond.sum() >= PURE_ROWS:
            return words, int(beyond.sum())
    return None


def trial_of_log(rows: UpliftRows, channel: Channel, source: "DataSource", horizon: float) -> Trial:
    """The trial that the holdout is: shoppers for whom one channel was decided against those for whom it would be.

    Raises `TrainingError` where the decisions do not say what they would have been for the holdout.
    """
    meant = np.array([one == channel.value for one in rows.channels], dtype=np.bool_)
    if not (meant & ~rows.treated).any():
        raise TrainingError(
            f"{source.name}: no decision on the holdout would have been for {channel.value}; left out were "
            f"{rows.left_out or 'none'}: export a longer span of decisions with `ringback export`"
        )
    return Trial(
        kind="log",
        columns=tuple(
            Column(name=feature.name, kind="category" if feature.levels else "number", levels=feature.levels)
            for feature in FEATURES
        ),
        vectors=rows.vectors[meant],
        labels=rows.labels[meant],
        treated=rows.treated[meant],
        groups=rows.groups[meant],
        source=source,
        arms=Arms(treated=channel.value, control="holdout"),
        horizon=horizon,
    )


def trial_of_table(data: Dataset, arms: Arms) -> Trial:
    """The trial in a table with a column for the arms; rows with another value are left out. Raises `TrainingError`."""
    names = [column.name for column in data.columns]
    if arms.column not in names:
        raise TrainingError(f"{data.source.name}: no column {arms.column!r} tells the arms; it has {', '.join(names)}")
    place = names.index(arms.column)
    values, column = data.vectors[:, place], data.columns[place]
    treated, control = (_code(data.source.name, column, values, given) for given in (arms.treated, arms.control))
    rows = (values == treated) | (values == control)
    kept = data.take(rows).without(frozenset({arms.column}))
    return Trial(
        kind="table",
        columns=kept.columns,
        vectors=kept.vectors,
        labels=kept.labels,
        treated=values[rows] == treated,
        groups=kept.groups,
        source=data.source,
        arms=msgspec.structs.replace(arms, is_number=column.kind == "number"),
    )


def _code(name: str, column: Column, values: NDArray[np.float64], given: str) -> float:
    """How a value of the treatment's column is written in the vectors."""
    if column.kind == "category":
        if given in column.levels:
            return float(column.levels.index(given))
        known = ", ".join(repr(level) for level in column.levels)
    else:
        try:
            code = float(given)
        except ValueError:
            code = float("nan")
        if (values == code).any():
            return code
        known = ", ".join(f"{value:g}" for value in np.unique(values[~np.isnan(values)])[:10])
    raise TrainingError(
        f"{name}: no row has {given!r} in column {column.name!r}; it has {known}: name the arms with --treated and "
        "--control"
    )

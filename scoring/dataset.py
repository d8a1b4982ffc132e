"""Rows with labels, whether they were replayed from a log or read from a table: what training and judging work on."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record

if TYPE_CHECKING:
    from scoring.manifest import DataSource, TableColumns

Mask = NDArray[np.bool_]


class Column(Record, frozen=True, kw_only=True):
    """A column of the vectors. A category's code is its place in ``levels``; a value that is none of them is NaN."""

    name: str
    kind: Literal["number", "category"] = "number"
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows with labels; all arrays have as many entries as there are rows.

    A ``log``'s vectors are those of `scoring.features.vector`, and a model of them can be served; a ``table``'s are its
    own columns. ``times`` are epoch seconds, of a table any rising number; None where nobody knows them. ``groups``
    tell shoppers apart, by a stable number each; None: each row is its own. ``due`` marks a log's rows at abandonment.
    ``horizon`` is the span of the label in seconds, None where the table does not say.
    """

    kind: Literal["log", "table"]
    columns: tuple[Column, ...]
    vectors: NDArray[np.float64]  # rows x columns; NaN: missing
    labels: Mask
    times: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None
    due: Mask | None
    source: "DataSource"
    horizon: float | None
    table: "TableColumns | None" = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Mask | NDArray[np.int64]) -> "Dataset":
        """These rows only, by mask or by index; the source stays the whole one."""
        return replace(
            self,
            vectors=self.vectors[rows],
            labels=self.labels[rows],
            times=None if self.times is None else self.times[rows],
            groups=None if self.groups is None else self.groups[rows],
            due=None if self.due is None else self.due[rows],
        )

    def without(self, names: frozenset[str]) -> "Dataset":
        """The same rows without these columns."""
        kept = [index for index, column in enumerate(self.columns) if column.name not in names]
        return replace(
            self,
            columns=tuple(self.columns[index] for index in kept),
            vectors=np.ascontiguousarray(self.vectors[:, kept]),
        )

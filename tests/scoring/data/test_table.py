"""Tables: what becomes a feature, what does not, and where a mistake is said to be."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pl = pytest.importorskip("polars", reason="polars is an extra (train)")

from scoring.data.history import COLUMNS, history  # noqa: E402 - after the skip
from scoring.data.table import read_table  # noqa: E402 - after the skip
from scoring.dataset import Column  # noqa: E402 - after the skip
from scoring.errors import TrainingError  # noqa: E402 - after the skip

HEAD = "customer_id,day,views,kind,Month,bought"
ROWS = [
    "7,2026-01-02,3,new,Feb,1",
    "7,2026-01-03,4.5,new,Mar,0",
    "8,2026-01-04,,old,Mar,false",
    "9,2026-01-05,1,old,Nov,TRUE",
]


def table(folder: Path, rows: list[str], head: str = HEAD, times: int = 10) -> Path:
    path = folder / "carts.csv"
    path.write_text("\n".join([head, *rows * times]) + "\n")
    return path


def names(columns: tuple[Column, ...]) -> list[str]:
    return [column.name for column in columns]


def test_what_becomes_of_each_column(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, ROWS), "bought")
    assert data.table is not None
    assert data.table.group == "customer_id"
    assert "date" in data.table.dropped["day"]
    assert names(data.columns) == ["views", "kind", "Month"]
    assert data.columns[1] == Column(name="kind", kind="category", levels=("new", "old"))
    expected = np.array([[3.0, 0.0], [4.5, 0.0], [np.nan, 1.0], [1.0, 1.0]])
    assert np.array_equal(data.vectors[:4, :2], expected, equal_nan=True)
    assert data.labels[:4].tolist() == [True, False, False, True]
    assert data.groups is not None
    assert data.groups[:4].tolist() == [7, 7, 8, 9]
    assert (data.kind, data.times, data.source.name, data.source.shoppers) == ("table", None, "carts", 3)


def test_forward_in_time_nothing_names_a_time_of_the_year(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, ROWS), "bought", time="day")
    assert names(data.columns) == ["views", "kind"]
    assert data.times is not None
    assert np.diff(data.times[:4]).tolist() == [86400.0] * 3
    months = read_table(table(tmp_path, ROWS), "bought", time="Month").times
    assert months is not None
    assert months[:4].tolist() == [2, 3, 3, 11]


def test_a_model_says_what_its_columns_are(tmp_path: Path) -> None:
    trained = read_table(table(tmp_path, ROWS), "bought").columns
    later = read_table(
        table(tmp_path, ["1,2026-02-02,2,odd,Dec,1", "1,2026-02-03,x2,new,Feb,0"][:1]), "bought", columns=trained
    )
    assert later.columns == trained
    assert later.vectors[0].tolist() == pytest.approx([2.0, np.nan, np.nan], nan_ok=True)
    without = table(tmp_path, ["1,1,1"], head="customer_id,views,bought")
    with pytest.raises(TrainingError, match="no column kind, which the model needs"):
        read_table(without, "bought", columns=trained)


def test_text_with_hardly_two_rows_alike_is_no_category(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, [f"{row},1,{row % 2}" for row in range(400)], "note,views,bought", 1), "bought")
    assert names(data.columns) == ["note", "views"]
    texts = read_table(table(tmp_path, [f"n{row},1,{row % 2}" for row in range(400)], "note,views,bought", 1), "bought")
    assert texts.table is not None
    assert "400 different values" in texts.table.dropped["note"]


def test_a_session_key_is_no_feature_and_a_product_name_may_be_one(tmp_path: Path) -> None:
    head = "session_key,visitorid,userId,paid,brand_name,bought"
    data = read_table(table(tmp_path, ["1_1,1,1,3,acme,1", "2_1,2,2,4,acme,0"], head), "bought")
    assert names(data.columns) == ["paid", "brand_name"]
    assert data.table is not None
    assert data.table.group == "visitorid"


def test_parquet_and_gzipped_csv_give_the_same(tmp_path: Path) -> None:
    csv = table(tmp_path, ROWS)
    zipped = tmp_path / "zipped.csv.gz"
    zipped.write_bytes(gzip.compress(csv.read_bytes()))
    parquet = tmp_path / "carts.parquet"
    pl.read_csv(csv, try_parse_dates=True).write_parquet(parquet)
    first, *others = (read_table(path, "bought") for path in (csv, zipped, parquet))
    for other in others:
        assert other.columns == first.columns
        assert np.array_equal(other.vectors, first.vectors, equal_nan=True)
        assert (other.labels == first.labels).all()


def test_groups_are_told_by_their_text_alone(tmp_path: Path) -> None:
    one = read_table(table(tmp_path, ["ann,1,1", "bob,2,0"], "shopper,views,bought"), "bought").groups
    other = read_table(table(tmp_path, ["bob,2,0", "ann,1,1"], "shopper,views,bought"), "bought").groups
    assert one is not None
    assert other is not None
    assert one[0] == other[1] != one[1] == other[0]


@pytest.mark.parametrize(
    ("rows", "head", "asked", "message"),
    [
        (ROWS, HEAD, {"label": "sold"}, r"carts\.csv: no column sold; there are: customer_id, day"),
        (ROWS, HEAD, {"label": "bought", "drop": ("vews",)}, "no column vews"),
        (["1,2", "1,3"], "views,bought", {"label": "bought"}, r"carts\.csv, line 2, column bought: 2 is no label"),
        (["1,1", "1,"], "views,bought", {"label": "bought"}, "line 3, column bought: None is no label"),
        (["a,1,1", ",1,0"], "group,views,bought", {"label": "bought", "group": "group"}, "line 3, column group: None"),
        (["1,x,1", "1,1,0"], "views,at,bought", {"label": "bought", "time": "at"}, "line 2, column at: 'x' is no time"),
        (["1,1"] * 20 + ["1e,0"], "views,bought", {"label": "bought"}, "line 22, column views: '1e' is no number"),
        (["1,1", "1,0,3"], "views,bought", {"label": "bought"}, "line 3 has 3 fields, the first line names 2"),
        (["1,1"], "customer_id,bought", {"label": "bought"}, "no column is left as a feature"),
        ([], "views,bought", {"label": "bought"}, "has no rows"),
        ([], "", {"label": "bought"}, "is empty|has no rows"),
    ],
)
def test_a_mistake_is_said_with_its_place(
    tmp_path: Path, rows: list[str], head: str, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        read_table(table(tmp_path, rows, head, times=1), **asked)


def test_what_is_no_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.csv: no table"):
        read_table(tmp_path / "none.csv", "bought")
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(TrainingError, match=r"a\.parquet: no table"):
        read_table(tmp_path / "a.parquet", "bought")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"views,bought\n1,1\n" * 1000)[:40])
    with pytest.raises(TrainingError, match=r"cut\.csv\.gz: no table"):
        read_table(tmp_path / "cut.csv.gz", "bought")


def test_a_visit_knows_how_the_ones_before_it_ended(tmp_path: Path) -> None:
    rows = ["1,2,5,0", "1,1,5,0", "1,1,6,1", "1,4,5,1", "2,1,5,1"]
    data = read_table(table(tmp_path, rows, "visitorid,visit_no,views,bought", times=1), "bought")
    assert data.table is not None
    assert data.table.order == "visit_no"
    assert names(data.columns) == ["visit_no", "views", *names(COLUMNS)]
    nan = np.nan
    first = [0, 0, nan, nan, nan]
    expected = np.array([[1, 1, 1, 1, 1], first, first, [2, 1, 0.5, 0, 2], first])
    assert np.array_equal(data.vectors[:, 2:], expected, equal_nan=True)
    later = table(tmp_path, ["5,1"], "views,bought", times=1)
    with pytest.raises(TrainingError, match="no column visit_no"):
        read_table(later, "bought", columns=data.columns)
    with pytest.raises(TrainingError, match="looks at earlier visits: give --group"):
        read_table(table(tmp_path, ["1,5,1"], "visit_no,views,bought", times=1), "bought", columns=data.columns)


visits = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.booleans()), min_size=1, max_size=30)


@given(visits)
def test_history_knows_nothing_of_this_visit_or_later_ones(rows: list[tuple[int, int, bool]]) -> None:
    groups, order, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = history(groups, order.astype(float), labels)
    for row in range(len(rows)):
        unknown = (groups == groups[row]) & (order >= order[row])
        changed = history(groups, order.astype(float), np.where(unknown, ~labels, labels))
        assert np.array_equal(changed[row], found[row], equal_nan=True)
        earlier = {
            number: bool(labels[(groups == groups[row]) & (order == number)].any())
            for number in order[(groups == groups[row]) & (order < order[row])]
        }
        assert found[row, 0] == len(earlier)
        assert found[row, 1] == sum(earlier.values())

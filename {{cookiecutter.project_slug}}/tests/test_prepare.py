"""The first stage: what is refused, and which row goes where."""

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from {{cookiecutter.package_name}} import prepare, raw, rows
from {{cookiecutter.package_name}}.schema import FEATURES, LABEL, LIMITS

Table = list[list[str]]


@pytest.fixture
def table() -> Table:
    """A small raw file that is as the schema says: a header and 40 rows, every second one malignant."""
    draw = np.random.default_rng(1).random((40, len(FEATURES)))
    lines = [
        [*map(repr, row.tolist()), "malignant" if number % 2 else "benign"]
        for number, row in enumerate(draw * np.array([LIMITS[name] for name in FEATURES]))
    ]
    return [[*FEATURES, LABEL], *lines]


def save(lines: Table, folder: Path, name: str = "cases.csv") -> Path:
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return folder


def change(row: int, column: str, text: str) -> Callable[[Table], None]:
    def apply(lines: Table) -> None:
        lines[row - 1][lines[0].index(column)] = text

    return apply


BAD = {
    "no number": (change(5, "mean_area", "large"), "column mean_area is 'large'; a number from 0 to 100,000", "row 5"),
    "empty": (change(2, "mean_area", ""), "column mean_area is ''; a number from 0 to 100,000 is needed", "row 2"),
    "not finite": (change(3, "radius_error", "inf"), "column radius_error is 'inf'; a number from 0", "row 3"),
    "no real number": (change(3, "radius_error", "nan"), "column radius_error is 'nan'; a number from 0", "row 3"),
    "negative": (change(41, "worst_texture", "-0.5"), "column worst_texture is '-0.5'; a number from 0", "row 41"),
    "too large": (change(4, "mean_symmetry", "181.2"), "column mean_symmetry is '181.2'; a number from 0", "row 4"),
    "unknown label": (change(6, LABEL, "M"), "column diagnosis is 'M'; benign or malignant is needed", "row 6"),
    "missing column": (lambda lines: [line.pop(3) for line in lines], "column mean_area is missing", "row 1"),
    "extra column": (lambda lines: [line.append("1") for line in lines], "column '1' is not in the schema", "row 1"),
    "repeated column": (change(1, "mean_area", "mean_radius"), "column mean_radius is there more than once", "row 1"),
    "short row": (lambda lines: lines[7].pop(), "30 values; the header has 31 columns", "row 8"),
    "same case twice": (lambda lines: lines.append(lines[1]), "every column as in row 2 of cases.csv", "row 42"),
    "two labels": (
        lambda lines: lines.append([*lines[1][:-1], "malignant"]),
        "every column as in row 2 of cases.csv, which it has another diagnosis than",
        "row 42",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_raw_data_that_breaks_the_schema_stops_with_a_line_that_names_it(name, table, tmp_path, monkeypatch, capsys):
    spoil, problem, place = BAD[name]
    spoil(table)
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("SM_CHANNEL_RAW", str(save(table, tmp_path / "raw")))
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "prepared"))

    exit_code = prepare.main([])

    lines = capsys.readouterr().err.splitlines()
    assert exit_code == 2
    assert [line for line in lines if line.startswith(f"cases.csv: {problem}") and line.endswith(f"({place})")], lines
    assert not (tmp_path / "prepared").exists()


def test_every_problem_is_listed_up_to_a_screenful(table, tmp_path):
    for row in range(2, 42):
        change(row, "mean_area", "?")(table)

    with pytest.raises(raw.InvalidData) as refused:
        raw.read(save(table, tmp_path))

    *listed, last = str(refused.value).splitlines()
    assert len(listed) == raw.SHOWN
    assert last == f"and {40 - raw.SHOWN} more problems"


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(raw.InvalidData, match="no row of data"):
        raw.read(tmp_path)


def test_a_file_that_is_no_utf8_is_named(tmp_path):
    (tmp_path / "old.csv").write_bytes(b"mean_radius,caf\xe9\n")

    with pytest.raises(raw.InvalidData, match=r"old\.csv: byte 15 is no UTF-8"):
        raw.read(tmp_path)


@pytest.mark.parametrize("shares", [("0.5", "0.5"), ("0", "0.3"), ("0.2", "-0.1")])
def test_shares_that_leave_a_set_empty_are_refused(shares, capsys):
    with pytest.raises(SystemExit) as ended:
        prepare.main([f"--validation_share={shares[0]}", f"--test_share={shares[1]}"])

    assert ended.value.code == 2
    assert "each is needed above 0" in capsys.readouterr().err


def test_new_data_moves_no_row_to_another_set(cases):
    today = raw.read(cases)
    later = today.features * 1.001
    more = rows.Rows(
        np.concatenate([later, today.features]),
        np.concatenate([today.labels, today.labels]),
        np.concatenate([rows.identify(later), today.ids]),
    )

    before, after = prepare.split(today, 0.2, 0.3), prepare.split(more, 0.2, 0.3)

    for name in before:
        assert set(before[name].ids) == set(after[name].ids) & set(today.ids)


def test_files_rows_and_columns_may_come_in_any_order(table, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    save(table, tmp_path / "one")
    backwards = [line[::-1] for line in table]
    save([backwards[0], *backwards[:20:-1]], tmp_path / "two", "a.csv")
    save([table[0], *table[1:21]], tmp_path / "two", "b.csv")

    one, two = (prepare.split(raw.read(tmp_path / name), 0.2, 0.3) for name in ("one", "two"))

    for name in one:
        np.testing.assert_array_equal(one[name].features, two[name].features)
        np.testing.assert_array_equal(one[name].labels, two[name].labels)


def test_the_sets_share_no_row_and_lose_none(cases, pipeline):
    sets = [rows.read(pipeline.prepared / f"{name}.parquet") for name in ("train", "validation", "test")]

    everything = np.concatenate([part.ids for part in sets])

    assert sorted(everything) == sorted(raw.read(cases).ids)
    assert len(set(everything)) == len(everything)


def test_what_is_written_is_what_is_read(tmp_path, cases):
    data = raw.read(cases)

    rows.write(data, tmp_path / "data.parquet")
    again = rows.read(tmp_path / "data.parquet")

    np.testing.assert_array_equal(again.features, data.features)
    np.testing.assert_array_equal(again.labels, data.labels)
    np.testing.assert_array_equal(again.ids, data.ids)


def test_the_baseline_describes_the_training_rows(pipeline):
    train = rows.read(pipeline.prepared / "train.parquet")
    baseline = json.loads((pipeline.prepared / "baseline.json").read_text(encoding="utf-8"))

    assert list(baseline["columns"]) == list(FEATURES)
    for values, column in zip(train.features.T, baseline["columns"].values(), strict=True):
        edges = [-np.inf, *column["edges"], np.inf]
        shares = [np.mean((values >= low) & (values < high)) for low, high in itertools.pairwise(edges)]
        np.testing.assert_allclose(column["shares"], shares)
        np.testing.assert_allclose([column["mean"], column["std"]], [values.mean(), values.std()])
        assert column["quantiles"][0] == values.min()
        assert column["quantiles"][-1] == values.max()
        assert column["missing"] == 0


def test_missing_values_are_counted_and_left_out_of_the_rest():
    column = prepare.statistics(np.array([1.0, np.nan, 3.0, np.nan]))

    assert column["missing"] == 0.5
    assert column["mean"] == 2.0
    assert sum(column["shares"]) == 1

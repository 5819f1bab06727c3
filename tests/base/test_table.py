"""A table as text: columns that line up, long words that wrap, and parts that fit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spikelet.base.table import GAP, Table, facts

BYTES = Table(("layer", "bits", "bytes"), (("conv1", "8", "432"), ("fc", "1", "1,280")), (("total", "", "1,712"),))


def test_words_stand_left_and_numbers_right():
    assert str(BYTES).splitlines() == [
        "layer  bits  bytes",
        "──────────────────",
        "conv1     8    432",
        "fc        1  1,280",
        "──────────────────",
        "total        1,712",
    ]


def test_a_table_without_rows_has_its_titles():
    assert Table(("a", "b"), ()).text() == "a  b\n────"


def test_titles_wrap_before_the_last_column_does():
    table = Table(("name", "weight bits"), (("x", "8"),))
    assert table.text(8).splitlines() == ["      weight", "name    bits", "────────────", "x          8"]


def test_a_long_last_column_of_words_wraps():
    table = Table(("name", "what"), (("x", "one two three four five six seven"),), prose=(0, 1))
    assert table.text(32).splitlines()[2:] == ["x     one two three four five", "      six seven"]


def test_a_long_value_goes_on_below_itself():
    assert facts([("a", "1"), ("name", "one two three four five six seven")], 32).splitlines() == [
        "a     1",
        "name  one two three four five",
        "      six seven",
    ]
    assert facts([]) == ""


@settings(max_examples=60)
@given(widths=st.lists(st.integers(1, 30), min_size=2, max_size=12), room=st.integers(10, 120))
def test_split_shows_every_column_once_beside_the_first_and_fits(widths: list[int], room: int):
    columns = tuple("x" * width for width in widths)
    parts = list(Table(columns, (tuple(str(i) for i in range(len(columns))),)).split(room))
    assert [cell for part in parts for cell in part.rows[0][1:]] == [str(i) for i in range(1, len(columns))]
    for part in parts:
        assert part.rows[0][0] == "0"
        assert sum(map(len, part.columns)) + GAP * (len(part.columns) - 1) <= room or len(part.columns) == 2
        assert max(map(len, part.text(room).splitlines())) <= room or len(part.columns) == 2

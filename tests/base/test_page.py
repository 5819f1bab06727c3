"""A page as text, in its width, and as HTML, in which nothing that was given is obeyed."""

from __future__ import annotations

import html.parser

from hypothesis import given, settings
from hypothesis import strategies as st

from spikelet.base.page import NAME, ROWS, Displayed, Facts, Heading, Page
from spikelet.base.table import Table

BYTES = Table(("layer", "bytes"), (("conv", "432"), ("fc", "1,280")), (("total", "1,712"),))


class Shelf(Displayed):
    """A shelf."""

    def page(self) -> Page:
        return Page((Heading("A shelf"), BYTES, Heading("and"), Facts((("height", "2 m"),)), "full"))

    def in_short(self) -> str:
        return "two layers\nof \x1b[2Jbooks"


class Cells(html.parser.HTMLParser):
    """The text of every element of a page, and which tags and attributes there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str | None] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {f"{name}={value}" for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_page_is_text_and_html_of_the_same_words() -> None:
    assert str(Shelf()).splitlines() == [
        "A shelf",
        "layer  bytes", "────────────", "conv     432", "fc     1,280", "────────────", "total  1,712",
        "", "and", "", "height  2 m", "full",
    ]  # fmt: skip
    cells = Cells(Shelf()._repr_html_())
    assert cells.words == [
        *("A shelf", "layer", "bytes", "conv", "432", "fc", "1,280", "total", "1,712"),
        *("and", "height", "2 m", "full"),
    ]
    assert cells.attributes == {"style=text-align:left", "style=text-align:right"}


def test_a_repr_is_one_line_that_is_fit_to_print() -> None:
    assert repr(Shelf()) == r"Shelf(two layers\nof \x1b[2Jbooks)"


TAGS = {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td"}


@settings(max_examples=20)
@given(st.lists(st.text(max_size=60), min_size=4, max_size=4))
def test_no_word_of_a_page_is_obeyed(words: list[str]) -> None:
    attacks = [
        f"<script>alert(1)</script>{words[0]}",
        f'"><img src=x onerror=a()>{words[1]}',
        f"&lt;{words[2]}",
        words[3],
    ]
    page = Page((
        Heading(attacks[0]), Table((attacks[0], attacks[1]), ((attacks[1], attacks[2]),)),
        Facts(((attacks[2], attacks[0]),)), attacks[1],
    ))  # fmt: skip
    cells = Cells(page.html())
    assert cells.tags <= TAGS
    assert all(str(attribute).startswith("style=text-align:") for attribute in cells.attributes)
    assert "<script>alert(1)</script>" in "".join(cells.words)
    assert all(line.isprintable() for line in page.text().split("\n"))


@settings(max_examples=25)
@given(
    names=st.lists(st.integers(1, 200), min_size=1, max_size=80),
    columns=st.integers(1, 12),
    width=st.integers(60, 140),
)
def test_a_table_fits_its_page_whatever_its_names_columns_and_rows(names: list[int], columns: int, width: int) -> None:
    rows = tuple(("n" * n, *(f"{n:,}" for _ in range(columns))) for n in names)
    table = Table(
        ("name", *(f"column {i}" for i in range(columns))), rows, (("total", *("1" for _ in range(columns))),)
    )
    lines = Page((table,)).text(width).splitlines()
    assert max(map(len, lines)) <= max(width, NAME + 30)
    assert sum(line.startswith("n") for line in lines) >= min(len(names), ROWS) - 1


def test_a_long_table_says_how_many_rows_it_leaves_out() -> None:
    table = Table(("name", "n"), tuple((f"row {i}", str(i)) for i in range(1000)), (("total", "5"),))
    lines = Page((table,)).text().splitlines()
    assert len(lines) == 2 + ROWS + 2
    assert [line for line in lines if "more" in line] == [f"... {1000 - ROWS + 1} more"]
    assert (lines[2].split(), lines[-3].split()) == (["row", "0", "0"], ["row", "999", "999"])
    assert table.folded(1000) is table
    assert len(table.folded(999).rows) == 999


def test_a_table_whose_last_column_wraps_stays_one_table() -> None:
    table = Table(("where", "was", "now"), (("x", "y", "one two three " * 20),), prose=(0, 1, 2))
    assert sum("where" in line for line in Page((table,)).text(60).splitlines()) == 1

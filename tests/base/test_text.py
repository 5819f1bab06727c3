"""Text from outside: nothing that a terminal would obey or hide, and never more than asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelet.base.errors import ArtifactError, GraphError, MissingLibrary, SpikeletError
from spikelet.base.table import CELL, VALUE, Table, facts
from spikelet.base.text import LINE, fit_to_print, one_line, printable, shortened

CLEARS_AND_LIES = "\x1b]0;PWNED\x07\x1b[2J\x1b[1;1H\x1b[32maccuracy 100.00 %\x1b[0m"
HIDDEN = (
    "\x00\x07\x08\r\n\t\x1b\x7f\x85\x9b\xad\u034f\u061c\u200b\u200e\u202e\u2028\u2029\u2066\u3164\ufeff\ufe0f\ud800"
)


@pytest.mark.parametrize("letter", HIDDEN)
def test_what_a_terminal_obeys_or_hides_is_escaped(letter: str):
    shown = printable(f"a{letter}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


def test_letters_of_all_scripts_stay():
    for text in ("plain", "Füße", "猫と犬", "кот", "قط", "─ ━ · →", "😀"):
        assert printable(text) == fit_to_print(text) == text


@settings(max_examples=100)
@given(text=st.text(max_size=60), limit=st.integers(9, 40))
def test_text_fit_to_print_is_printable_short_and_fit_already(text: str, limit: int):
    fit = fit_to_print(text, limit)
    assert fit.isprintable()
    assert len(fit) <= limit
    assert fit_to_print(fit, limit) == fit


def test_shortened_text_keeps_its_beginning_and_its_end():
    assert shortened("abcdefghij", 9) == "abcd...ij"
    assert shortened("abcdefghi", 9) == "abcdefghi"


@pytest.mark.parametrize("kind", [SpikeletError, GraphError, ArtifactError, MissingLibrary])
def test_an_error_of_ours_is_one_printable_line_below_a_kilobyte(kind: type[SpikeletError]):
    for text in (CLEARS_AND_LIES, "x" * 400_000, "\x1b" * 400_000, "one\n   two\n\nthree"):
        assert str(kind(text)).isprintable()
        assert len(str(kind(text))) <= LINE < 1000
    assert str(kind("one\n  two")) == "one two"
    assert one_line("x" * 400_000 + " The way out.").endswith(" The way out.")


def test_cells_and_values_are_fit_to_print():
    hostile = (CLEARS_AND_LIES, "two\nlines", "\u202egnp.exe", "x" * 400_000)
    text = f"{Table(hostile, (hostile,), (hostile,)).text()}\n{facts([(h, h) for h in hostile])}"
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) < 40 * (CELL + VALUE)
    assert "two\\nlines" in text

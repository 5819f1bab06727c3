"""Docstrings become the reStructuredText that shows them as they were meant."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "docs" / "plain_docstrings.py"
spec = importlib.util.spec_from_file_location("plain_docstrings", PATH)
assert spec and spec.loader
plain_docstrings = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plain_docstrings)
PYTHON = ".. code-block:: python"


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("What `x*y` is.", "What ``x*y`` is."),
        ("Whole `unit`s, max|W| * 2_ of it.", r"Whole ``unit``\ s, max\|W\| \* 2\_ of it."),
        ("Called `name`_run here.", r"Called ``name``\ _run here."),
        ("A sum:\n\n    y = |x|\n\nand more", "A sum:\n\n.. code-block:: text\n\n    y = |x|\n\nand more"),
        ("It is\n    k t\nand alpha", "It is\n\n.. code-block:: text\n\n    k t\n\nand alpha"),
        ("a    the first\nbcd  the last", ".. code-block:: text\n\n    a    the first\n    bcd  the last"),
        ("one: of two\nother: of\n    three", "* one: of two\n\n* other: of\n  three"),
        ("* one *\n  thing", "* one \\*\n  thing"),
        (
            "First.\n\nExample:\n    f(1)\n\n    g(_)",
            f"First.\n\n.. rubric:: Example\n\n{PYTHON}\n\n    f(1)\n\n{PYTHON}\n\n    g(_)",
        ),
        ("Example:\n    >>> f(1)\n    1", ".. rubric:: Example\n\n.. code-block:: pycon\n\n    >>> f(1)\n    1"),
        (
            "Args:\n    x: a `b`,\n        or *.\nRaises:\n    E: no.",
            "Args:\n    x: a ``b``,\n        or \\*.\nRaises:\n    E: no.",
        ),
    ],
)
def test_plain_text_is_shown_as_it_was_meant(plain: str, shown: str) -> None:
    lines = plain_docstrings.rst(plain).strip().split("\n")
    assert "\n".join(lines).replace("\n\n\n", "\n\n") == shown

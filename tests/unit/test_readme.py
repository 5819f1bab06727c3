"""The README says what is so: its table is the results', its Python parses, its targets and commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_table_is_what_the_results_say() -> None:
    command = [sys.executable, "-m", "benchmarks.readme_table", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert targets >= {"demo", "test"}
    assert targets <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_files_it_names_exist() -> None:
    for name in re.findall(r"`((?:docs|examples|results)/[\w./]+)`", README):
        assert (ROOT / name).exists(), name

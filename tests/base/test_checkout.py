"""The commit of a result, with a plus sign where the sources differ from it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from spikelet.base.checkout import commit_of


def git(folder: Path, *words: str) -> str:
    """What git prints in `folder`."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_and_what_differs_from_it(tmp_path: Path):
    source, other = tmp_path / "source", tmp_path / "other"
    for folder in (source, other):
        folder.mkdir()
        (folder / "a.py").write_text("1")
    git(tmp_path, "init", "-q")
    assert commit_of([source]) == "", "nothing is known to git yet"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert commit_of([source]) == commit_of([source / "a.py", other]) == head
    (other / "new.py").write_text("2")
    assert commit_of([source]) == head
    assert commit_of([source, other]) == f"{head}+"
    (source / "a.py").write_text("2")
    assert commit_of([source]) == f"{head}+"


def test_outside_a_checkout_there_is_none(tmp_path: Path):
    (tmp_path / "a.py").touch()
    assert commit_of([tmp_path / "a.py"]) == commit_of([tmp_path]) == ""


def test_without_git_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of([Path(__file__)]) == ""

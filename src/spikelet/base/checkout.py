"""The git commit that a result was made from."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def commit_of(files: Sequence[Path]) -> str:
    """The commit of the checkout that holds `files`, files or folders, with a plus sign where one of them differs.

    The first must be known to git: "" otherwise, as in an installed package, or where git is missing.
    """
    here = files[0]
    folder = here if here.is_dir() else here.parent
    if not _git(folder, "ls-files", "--", str(here)):
        return ""
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--", *map(str, files))
    return f"{head}{'+' if changed else ''}" if head else ""


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where git is missing or refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()

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


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_links_names_and_what_is_staged_alone_are_compared(tmp_path: Path):
    git(tmp_path, "init", "-q")
    (tmp_path / "a b\n\té.py").write_text("1")
    (tmp_path / "link").symlink_to("nowhere")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = commit_of([tmp_path])
    assert len(head) == 12
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    assert commit_of([tmp_path]) == f"{head}+"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("nowhere")
    assert commit_of([tmp_path]) == head
    (tmp_path / "new.py").write_text("2")
    git(tmp_path, "add", "new.py")
    assert commit_of([tmp_path]) == f"{head}+", "staged"
    git(tmp_path, "rm", "-qf", "new.py")
    (tmp_path / ".gitignore").write_text("ignored")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "second")
    (tmp_path / "ignored").write_text("3")
    assert len(commit_of([tmp_path])) == 12


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("kind", ["fsmonitor", "hook", "filter", "process", "fetch", "environment"])
def test_a_repository_runs_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Git alone runs a program for most of these when it is asked for the status."""
    run, ran = tmp_path / "run.sh", tmp_path / "ran"
    run.write_text(f"#!/bin/sh\ntouch '{ran}'\ncat\n")
    run.chmod(0o755)
    inside = tmp_path / "checkout"
    inside.mkdir()
    git(inside, "init", "-q")
    (inside / "a.py").write_text("1")
    git(inside, "add", ".")
    git(inside, "commit", "-qm", "first")
    head = commit_of([inside])
    if kind == "fsmonitor":
        git(inside, "config", "core.fsmonitor", str(run))
    elif kind == "hook":
        hooks = inside / ".git" / "hooks"
        hooks.mkdir(exist_ok=True)
        shutil.copy(run, hooks / "post-index-change")
        (inside / "a.py").touch()
    elif kind in ("filter", "process"):
        git(inside, "config", f"filter.x.{'clean' if kind == 'filter' else 'process'}", str(run))
        (inside / ".git" / "info" / "attributes").write_text("* filter=x\n")
        (inside / "a.py").write_text("2")
        head = f"{head}+"
    elif kind == "fetch":
        tree = git(inside, "rev-parse", "HEAD^{tree}")
        (inside / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
        for name, value in (
            ("remote.origin.url", "ext::" + str(run)),
            ("remote.origin.promisor", "true"),
            ("extensions.partialClone", "origin"),
            ("protocol.ext.allow", "always"),
            ("core.repositoryformatversion", "1"),
        ):
            git(inside, "config", name, value)
        head = f"{head}+"
    else:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(run))
    assert commit_of([inside]) == head
    assert not ran.exists()

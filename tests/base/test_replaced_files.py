"""A replaced file keeps its mode, what follows the rename costs nothing, and errors name the file that was meant."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikelet.base.files import atomic_write
from spikelet.graph.file.artifact import load, save
from tests.artifact_parts import assert_same_graph, small_graph


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o664, 0o755])
def test_a_replaced_file_keeps_its_mode_from_the_first_byte_on(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_write(path) as file:
        (temporary,) = set(tmp_path.iterdir()) - {path}
        assert stat.S_IMODE(temporary.stat().st_mode) == mode
        file.write(b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_what_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save(small_graph(), tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o666 & ~mask


def _refusing(real: Callable[..., Any], number: int, only: Callable[..., bool]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        if only(*args):
            raise OSError(number, os.strerror(number))
        return real(*args, **options)

    return call


@pytest.mark.skipif(os.name != "posix", reason="only there a folder is synchronised")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("step", ["open", "fsync", "close"])
def test_nothing_after_the_rename_costs_the_new_file(
    tmp_path: Path, number: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, _refusing(getattr(os, step), number, _is_folder))
    save(small_graph(), path)
    monkeypatch.undo()
    assert_same_graph(load(path), small_graph())
    assert list(tmp_path.iterdir()) == [path]


def _is_folder(place: Any, *_: object) -> bool:
    return stat.S_ISDIR(os.fstat(place).st_mode) if isinstance(place, int) else Path(place).is_dir()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_mount_that_can_t_synchronise_a_file_takes_it_all_the_same(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _refusing(os.fsync, number, lambda _: True))
    save(small_graph(), tmp_path / "model.safetensors")
    assert_same_graph(load(tmp_path / "model.safetensors"), small_graph())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("owner", ["write", "fsync", "replace"])
def test_every_error_of_the_system_names_the_file_that_was_meant(
    tmp_path: Path, number: int, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    error = OSError(number, os.strerror(number))
    if owner != "write":
        place = os if owner == "fsync" else Path
        monkeypatch.setattr(place, owner, _refusing(getattr(place, owner), number, lambda *_: True))
    with pytest.raises(OSError, match=f"{os.strerror(number)}: '.*model.safetensors'$"), atomic_write(path) as file:
        file.write(b"new")
        if owner == "write":
            raise error
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_another_file_s_error_inside_the_block_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), atomic_write(tmp_path / "model.safetensors"):
        (tmp_path / "other").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_told_by_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none/model\.safetensors'$"):
        save(small_graph(), tmp_path / "none" / "model.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
def test_a_pipe_a_socket_s_folder_and_a_link_to_itself_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "link"):
        with pytest.raises(IsADirectoryError, match="path must be a regular file or not exist yet"):
            save(small_graph(), tmp_path / name)
    with pytest.raises(OSError, match="loop"):
        save(small_graph(), tmp_path / "loop")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "link", "loop"}


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_other_names_of_a_replaced_file_keep_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"new", b"old")


@pytest.mark.parametrize("name", ["unlink", "stat"])
def test_what_another_user_left_behind_does_not_stop_a_save(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".model.safetensors.0123.spikelet-tmp"
    left.write_bytes(b"left")
    os.utime(left, (0, 0))
    if name == "unlink":
        monkeypatch.setattr(Path, name, _refusing(Path.unlink, errno.EPERM, lambda *_: True))
    else:
        monkeypatch.setattr(os, "scandir", _refusing(os.scandir, errno.EACCES, lambda *_: True))
    save(small_graph(), tmp_path / "model.safetensors")
    monkeypatch.undo()
    assert_same_graph(load(tmp_path / "model.safetensors"), small_graph())

"""A save leaves the old file or the new one, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikelet.base import files as atomic_write_module
from spikelet.base.files import atomic_write
from spikelet.graph.file.artifact import dumps, load, save
from tests.artifact_parts import assert_same_graph, small_graph


def in_a_child(work: Callable[[], object]) -> tuple[int, bytes]:
    """Runs `work` in a forked process. Returns its exit code (minus the signal that killed it) and what it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            work()
        except BaseException as error:
            os.write(write, type(error).__name__.encode())
            status = 1
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        raised = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), raised


def _die(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _open_and_die(*args: Any) -> None:
    _OPEN(*args)
    _die()


_OPEN = os.open
KILLED_AT: dict[str, tuple[object, str, Callable[..., None]]] = {
    "the temporary file is made": (os, "open", _open_and_die),
    "half is written": (os, "getpgid", _die),  # the child calls it between the halves
    "all is written": (os, "fsync", _die),
    "just before the rename": (Path, "replace", _die),
    "just after the rename": (atomic_write_module, "_sync_folder", _die),
}


@pytest.mark.skipif(os.name != "posix", reason="needs fork and SIGKILL")
@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_save_killed_at_any_moment_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    old, new = b"old" * 1000, b"new" * 100_000
    path.write_bytes(old)

    def work() -> None:
        monkeypatch.setattr(*KILLED_AT[moment])
        with atomic_write(path) as file:
            file.write(new[: len(new) // 2])
            file.flush()
            os.getpgid(0)
            file.write(new[len(new) // 2 :])

    assert in_a_child(work) == (-signal.SIGKILL, b"")
    assert path.read_bytes() == (new if moment == "just after the rename" else old)
    # the next save works, and removes what the killed one left once that is an hour old
    for left in tmp_path.glob(".*"):
        os.utime(left, (0, 0))
    with atomic_write(path) as file:
        file.write(new)
    assert path.read_bytes() == new
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_process_killed_while_it_saves_again_and_again_leaves_a_file_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    data = dumps(small_graph())
    for saves in (1, 2, 5, 11, 17, 23, 31, 43, 61, 80):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            while True:
                with atomic_write(path) as file:
                    file.write(data)
                os.write(write, b".")
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as pipe:
            for _ in range(saves):
                assert pipe.read(1) == b"."
            os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert_same_graph(load(path), small_graph())


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def work() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk: the write itself fails
        save(small_graph(), path)

    assert in_a_child(work) == (1, b"OSError")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_error_that_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save(small_graph(), tmp_path / "none" / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where nobody may write")
def test_a_folder_where_nobody_may_write_is_the_system_s_error() -> None:
    with pytest.raises(OSError, match="/proc/"):
        save(small_graph(), "/proc/model.safetensors")


def test_a_folder_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(IsADirectoryError, match="path must be a regular file or not exist yet"):
            save(small_graph(), path)
    assert list(tmp_path.iterdir()) == []
    assert not Path(os.devnull).is_file()


def test_a_link_is_followed_so_that_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    link = tmp_path / "latest.safetensors"
    link.symlink_to(Path("models") / "model.safetensors")
    save(small_graph(), link)
    assert link.is_symlink()
    assert_same_graph(load(tmp_path / "models" / "model.safetensors"), small_graph())


@pytest.mark.skipif(os.name != "posix", reason="needs a umask")
def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    save(small_graph(), tmp_path / "model.safetensors")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "model.safetensors")]
    assert modes[0] == modes[1]


def test_a_young_temporary_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with atomic_write(path) as outer:
        outer.write(b"first")
        with atomic_write(path) as inner:
            inner.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_file_name_can_be_saved(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 121 + ".safetensors")
    save(small_graph(), path)
    assert_same_graph(load(path), small_graph())

"""What every test gets: one thread, deterministic kernels, fixed seeds, no network, and the shared data where it lies.

Stricter than users: warnings are errors (pyproject.toml), torch must be deterministic, hypothesis draws the same
examples every time, and a connection to anything but this machine fails at once.
"""

from __future__ import annotations

import gc
import os
import random
import socket
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).resolve().parents[1]

os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # local folders only
# Processes that tests start: a test runs on each core already.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

hypothesis.settings.register_profile("spikelet", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("spikelet")


def pytest_configure() -> None:
    """Sets what holds for the whole process before any test module is imported."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collects no garbage meanwhile: what 15,000 tests are made of stays, and is left out of every later collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def _same_start_for_every_test() -> Iterator[None]:
    """Seeds the three generators, and checks that the test leaves torch's process-wide settings as it found them."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - third-party code may draw from the legacy generator
    torch.manual_seed(0)
    yield
    assert torch.get_default_dtype() == torch.float32, "the test changed torch's default dtype"
    assert torch.is_grad_enabled(), "the test left gradients switched off"
    assert torch.are_deterministic_algorithms_enabled(), "the test switched deterministic algorithms off"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses connections that leave this machine; worker processes on it may still talk to each other."""
    connect = socket.socket.connect

    def local_connect(self: socket.socket, address: tuple | str | bytes) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address!r}; tests use no network")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_connect)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `../shared/data` beside the checkout; tests that ask for it skip where it is not there."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the data sets in {folder}")
    return folder

"""weights.safetensors: a module's state with a seal, so that a changed byte is found.

    __metadata__.sha256  SHA-256 of the whole file, its own 64 digits taken as zeros

Files from before there was a seal have no metadata, and load as they did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from spikelet.base.errors import CheckpointError, SpikeletError, in_words
from spikelet.base.files import atomic_write
from spikelet.base.regular import read_regular
from spikelet.base.stand_in import LONGEST, stand_in
from spikelet.base.strict_json import shown

FILE = "weights.safetensors"
MAX_BYTES = 2**34
_FIELD = b'"sha256":"'
_ZEROS = b"0" * 64


def save_weights(folder: Path, model: nn.Module, name: str = FILE) -> None:
    """Writes the file `name`. A tensor that two modules share is written under both names."""
    tensors = {k: v.clone(memory_format=torch.contiguous_format) for k, v in model.state_dict().items()}
    data = safetensors.torch.save(tensors, {"sha256": _ZEROS.decode()})
    at = data.index(_FIELD) + len(_FIELD)
    with atomic_write(folder / name) as file:
        file.write(data[:at] + _digest(data) + data[at + 64 :])


def read_weights(folder: Path, name: str = FILE) -> dict[str, Tensor]:
    """The tensors of the file `name` by their names. One that other libraries wrote has no seal.

    Raises:
        CheckpointError: the file can't be read, is no safetensors file, or is not what was written.
    """
    path = folder / name
    try:
        data = read_regular(path, MAX_BYTES)
        if instead := stand_in(data[:LONGEST]):
            raise SpikeletError(f"it is {instead}")
        sealed = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__")
        if sealed is not None and (name == FILE or sealed != _OTHERS):
            _require_seal(data, sealed)
        return safetensors.torch.load(data)
    except (OSError, RuntimeError, ValueError, AttributeError, RecursionError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path} can't be read as weights ({first_line(error)}). {_ANEW if name == FILE else _AGAIN}"
        ) from error


def require_state(state: Mapping[str, Tensor], model: nn.Module, path: Path) -> None:
    """Raises CheckpointError unless `state` has the names and shapes of the module's; names the first that differs."""
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError(f"{path} holds no tensors by name, got {shown(type(state).__name__)}.")
    own = model.state_dict()
    missing, unknown = [k for k in own if k not in state], [k for k in state if k not in own]
    found = [(k, tuple(state[k].shape), tuple(own[k].shape)) for k in own if k in state]
    shapes = [f"{k!r} has shape {got}, and the model's {want}" for k, got, want in found if got != want]
    faults = [f"it lacks {shown(k)}" for k in missing]
    faults += [f"it has {shown(k)}, which the model lacks" for k in unknown] + shapes
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise CheckpointError(
            f"{path} can't be read into this configuration's model: {faults[0]}{more}. Was config.json, or the model's "
            "code, changed since?"
        )


def first_line(error: BaseException) -> str:
    """The first line of an error's message, short; its type where it has none."""
    text = in_words(error).split("\n")[0]
    return (text if len(text) <= 160 else f"{text[:157]}...") or type(error).__name__


_OTHERS = {"format": "pt"}  # metadata of safetensors.torch.save_model
_AGAIN = "Copy or write it anew."
_ANEW = "Copy it anew, or remove it and go on with `spikelet train --resume`, which writes it from the checkpoint."


def _require_seal(data: bytes, sealed: Any) -> None:
    digest = sealed["sha256"] if isinstance(sealed, dict) and sealed.keys() == {"sha256"} else ""
    if isinstance(digest, str) and len(digest) == 64 and digest.isascii():
        at = data.find(_FIELD + digest.encode()) + len(_FIELD)
        if at >= len(_FIELD) and _digest(data[:at] + _ZEROS + data[at + 64 :]) == digest.encode():
            return
    raise SpikeletError("its bytes are not those that were written: the checksum differs")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()

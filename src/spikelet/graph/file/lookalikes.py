"""What a file that is no packed file may be instead, told by its first bytes."""

from __future__ import annotations

from spikelet.base.stand_in import stand_in

_BEGINNINGS = (
    (b"\x1f\x8b", "a gzip file (unpack it first)"),
    (b"BZh", "a bzip2 file (unpack it first)"),
    (b"\xfd7zXZ\0", "an xz file (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file (unpack it first)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file (unpack it first)"),
    (b"PK\x03\x04", "a zip file, as torch.save makes (load it in PyTorch; spikelet.lower makes a graph of a model)"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file, such as a WebP picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file, as Keras makes"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet file"),
    (b"GGUF", "a GGUF file"),
    (b"\x7fELF", "a program"),
)
_PICKLES = tuple(bytes((0x80, protocol, begin)) for protocol in range(2, 6) for begin in b"}](cX\x95\x8aN")
_ONNX = tuple(bytes((0x08, version)) for version in range(1, 32))  # ir_version, then the producer's name or a graph
WEIGHTS = (
    "a safetensors file of weights (spikelet pack DIR makes a packed file of a run's folder, "
    "spikelet.lower a graph of a model)"
)


def looks_like(head: bytes) -> str | None:
    """What a file that begins with `head`, and is not ours, looks like; None: nothing that is known here."""
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            return what
    if head and (instead := stand_in(head)) is not None:
        return instead
    if head.startswith(_PICKLES):
        return "a pickle, as an old torch.save makes (load it in PyTorch; spikelet.lower makes a graph of a model)"
    if head[257:262] == b"ustar":
        return "a tar file (unpack it first)"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head.startswith(_ONNX) and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"):
        return "an ONNX model"
    if head.lstrip().startswith((b"{", b"[")):
        return "a JSON file"
    return None

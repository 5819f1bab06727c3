"""Where a file keeps its document, and where it is found: formats 1 to 3 in the header, format 4 in a tensor.

    header's text   all fields, or in format 4 {"format":4}; the checksum is put before them
    tensor          format 4: DEFLATE of the other fields' text; formats 1 to 3 have no such tensor

A node of a transformer takes some 50 bytes of text and 9 of DEFLATE. Names and attributes repeat from block to block.
"""

from __future__ import annotations

from typing import Any

from spikelet.base.errors import ArtifactError
from spikelet.base.strict_json import canonical, strict
from spikelet.graph.file.container import MAX_HEADER_BYTES
from spikelet.graph.file.deflate import deflate, inflate
from spikelet.graph.file.document import LATEST

DOCUMENT = "document"


def packed(document: dict[str, Any]) -> tuple[str, bytes]:
    """The header's text and the tensor's bytes of a document without its checksum.

    Raises:
        ArtifactError: in format 4, the text passes 1 MiB, as in the others the header may not.
    """
    if document["format"] < LATEST:
        return canonical(document), b""
    head = {"format": document["format"]}
    text = canonical({name: value for name, value in document.items() if name not in head}).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise ArtifactError(
            f"document: takes {len(text)} bytes, at most {MAX_HEADER_BYTES} are allowed. Shorten meta, labels or names."
        )
    return canonical(head), deflate(text)


def unpacked(tensor: bytes | memoryview) -> Any:
    """The value of the text in the tensor of a file of format 4.

    Raises:
        ArtifactError: no DEFLATE, longer than 1 MiB, not UTF-8, not JSON.
    """
    data = inflate(tensor, MAX_HEADER_BYTES, DOCUMENT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{DOCUMENT}: is not UTF-8 ({error.reason} at byte {error.start}).") from None
    return strict(text, DOCUMENT)

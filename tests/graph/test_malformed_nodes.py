"""Broken files, continued: nodes that are not what they must be. See test_malformed.py."""

from __future__ import annotations

import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph.file.artifact import loads
from tests.malformed_changes import (
    Change,
    changed,
    document_text,
    drop_first_tensor,
    field,
    grow,
    item,
    node,
    top_offset,
    weight_byte,
    widen_offsets,
)

NODES: dict[str, tuple[Change, str]] = {
    "no nodes": (field("nodes", []), "nodes: must be a list of 1 to 4096 nodes"),
    "nodes that are an object": (field("nodes", {}), "nodes: must be a list of 1 to 4096 nodes, got {}"),
    "4097 nodes": (field("nodes", [["flatten f"]] * 4097), "nodes: must be a list of 1 to 4096 nodes"),
    "a node that is a string": (
        item(1, "conv c1"),
        r"nodes\[1\]: must be \[head\] or \[head, attributes\], got 'conv c1'",
    ),
    "a node of three parts": (item(1, ["conv", "c1", {}]), r"nodes\[1\]: must be \[head\] or \[head, attributes\]"),
    "a node of no parts": (item(1, []), r"nodes\[1\]: must be \[head\]"),
    "attributes that are a list": (item(1, ["conv c1", []]), r"nodes\[1\]: must be \[head\] or \[head, attributes\]"),
    "an unknown operation": (
        item(8, ["attention max"]),
        r"nodes\[8\]: unknown operation 'attention'; known are input, conv",
    ),
    "an operation in capitals": (item(10, ["Flatten flat"]), r"nodes\[10\]: unknown operation 'Flatten'"),
    "a node without a name": (item(10, ["flatten "]), r"nodes\[10\]: needs a name after its operation, got 'flatten '"),
    "a name of half a character": (document_text('"flatten flat"', '"flatten \\ud800"'), "head: must be valid Unicode"),
    "a name twice": (item(10, ["flatten fc"]), "node names must be unique and not empty, got 'fc' twice"),
    "no input": (item(0, ["flatten x"]), "x: exactly the first node must be the input"),
    "a second input": (item(10, ["input y", {"inputs": []}]), "y: exactly the first node must be the input"),
    "a node that reads itself": (
        node("fc", inputs=[11]),
        r"\(linear 'fc'\): inputs must be positions of earlier .* 11",
    ),
    "a node that reads a later one": (node("fc", inputs=[12]), r"\(linear 'fc'\): inputs must be positions of earlier"),
    "a node that reads position -1": (node("fc", inputs=[-1]), r"\(linear 'fc'\): inputs: must be an integer from 0"),
    "a node that reads a name": (node("fc", inputs=["flat"]), r"\(linear 'fc'\): inputs: must be an integer .*'flat'"),
    "inputs that are no list": (node("fc", inputs=10), r"\(linear 'fc'\): inputs: must be a list of 0 to 64 integers"),
    "65 inputs": (node("sum", inputs=[3] * 65), r"\(add 'sum'\): inputs: must be a list of 0 to 64 integers"),
    "an add of one": (node("sum", inputs=[3]), "sum: takes 2 to 64 inputs, got 1"),
    "a linear of two": (node("fc", inputs=[10, 10]), "fc: takes 1 to 1 inputs, got 2"),
    "inputs stated though they are the default": (node("fc", inputs=[10]), "header: is not the one canonical text"),
    "an attribute stated though it is the last one": (
        node("c2", stride=[1, 1]),
        "header: is not the one canonical text",
    ),
    "an unknown attribute": (
        node("c1", dilation=[2, 2]),
        r"nodes\[1\] \(conv 'c1'\): unknown attribute 'dilation'; known",
    ),
    "an attribute of another operation": (node("fc", stride=[1, 1]), r"\(linear 'fc'\): unknown attribute 'stride'"),
    **{
        f"no {name} of a {op}": (
            lambda p, where=where, name=name: p.node(where).__delitem__(name),
            rf"\({op} '{where}'\): the attribute '{name}' is missing",
        )
        for op, where, names in (
            ("input", "x", ["shape"]),
            ("conv", "c1", ["bits", "groups", "padding", "shape", "stride"]),
            ("affine", "b1", ["bits", "shape"]),
            ("lif", "s1", ["gain", "leak", "leak_bits", "membrane", "reset", "threshold"]),
            ("maxpool", "max", ["kernel", "padding", "stride"]),
            ("sumpool", "pool", ["kernel"]),
            ("linear", "fc", ["bits", "shape"]),
        )
        for name in names
    },
    "bits 0": (node("c1", bits=0), r"\(conv 'c1'\): bits: must be an integer from 1 to 8, got 0"),
    "bits 9": (node("c1", bits=9), r"\(conv 'c1'\): bits: must be an integer from 1 to 8, got 9"),
    "bits 33": (node("fc", bits=33), r"\(linear 'fc'\): bits: must be an integer from 1 to 8, got 33"),
    "more bits than the tensor has": (node("c1", bits=2), "tensor weight: the nodes need 39 elements, got 32"),
    "fewer bits than the tensor has": (node("fc", bits=7), "tensor weight: the nodes need 29 elements, got 32"),
    "a tensor longer than the nodes need": (grow, "tensor weight: the nodes need 32 elements, got 33"),
    "a tensor that is missing": (drop_first_tensor, "tensor multiplier.i32: the nodes need 3 elements, got 0"),
    "a weight of 10^27 codes": (
        node("c1", shape=[10**9, 10**9, 10**9, 1]),
        r"nodes: need up to \d+ bytes of memory, max_bytes allows 2147483647",
    ),
    "a weight of 2^31 rows": (
        node("c1", shape=[2**31, 2, 3, 3]),
        r"\(conv 'c1'\): shape: must be an integer from 1 to",
    ),
    "a weight of rank 3": (node("c1", shape=[3, 2, 9]), r"\(conv 'c1'\): shape: must be a list of 4 integers"),
    "a weight of rank 7": (node("c1", shape=[3, 2, 3, 3, 1, 1, 1]), r"\(conv 'c1'\): shape: must be a list of 4"),
    "a weight with no rows": (node("fc", shape=[0, 12]), r"\(linear 'fc'\): shape: must be an integer from 1"),
    "a weight of another input": (node("fc", shape=[12, 2]), r"fc: weight shape must be \[O, 12\], got \(12, 2\)"),
    "an input of 10^9 x 10^9": (node("x", shape=[3, 10**9, 10**9]), "nodes: need up to .* max_bytes allows"),
    "an input of 65536 x 65536": (node("x", shape=[2, 65536, 65536]), "nodes: need up to .* max_bytes allows"),
    "an input of rank 2": (node("x", shape=[2, 16]), r"x: shape must be \(C, H, W\) or \(F,\).*got \(2, 16\)"),
    "an input of rank 4": (node("x", shape=[1, 2, 4, 4]), r"\(input 'x'\): shape: must be a list of 1 to 3 integers"),
    "an input without channels": (node("x", shape=[0, 4, 4]), r"\(input 'x'\): shape: must be an integer from 1"),
    "stride 0": (node("c1", stride=[1, 0]), r"c1: stride must be 1 to 64, got \(1, 0\)"),
    "stride -1": (node("c1", stride=[-1, 1]), r"\(conv 'c1'\): stride: must be an integer from 0"),
    "one stride": (node("c1", stride=1), r"\(conv 'c1'\): stride: must be a list of 2 integers, got 1"),
    "padding as wide as the kernel": (node("c1", padding=[3, 1]), r"c1: padding must be 0 to less than the kernel"),
    "a kernel larger than its input": (
        node("max", kernel=9, padding=0),
        "max: kernel must be no larger than the padded",
    ),
    "a pool of stride 0": (node("max", stride=0), r"max: stride must be 1 to 64, got \(0, 0\)"),
    "a pool of kernel 0": (node("pool", kernel=0), r"pool: kernel must be 1 to the input's \(2, 2\), got"),
    "a pool of kernel 2^31": (node("max", kernel=2**31), r"\(maxpool 'max'\): kernel: must be an integer from 0 to"),
    "groups that don't divide": (
        node("c1", groups=2),
        "c1: groups must be a divisor that gives 2 input channels, got 2",
    ),
    "0 groups": (node("c1", groups=0), "c1: groups must be a divisor"),
    "an unknown reset": (
        node("s1", reset="none"),
        r"\(lif 's1'\): reset: must be 'hard', 'soft' or a whole number, got 'none'",
    ),
    "a reset that is a list": (node("s1", reset=["hard"]), r"\(lif 's1'\): reset: must be 'hard', 'soft' or a whole"),
    "a reset that is true": (node("s1", reset=True), r"\(lif 's1'\): reset: must be 'hard', 'soft' or a whole"),
    "a reset below 0": (node("s1", reset=-1), r"\(lif 's1'\): reset: must be an integer from 0 to 2147483647"),
    "a soft reset by number": (node("s2", reset=2), "s2: reset must be 'soft' where it is the threshold, got 2"),
    "a threshold of 2^31": (
        node("s1", threshold=2**31),
        r"\(lif 's1'\): threshold: must be an integer from 0 to 2147483647",
    ),
    "a threshold of 0": (node("s1", threshold=0), r"s1: threshold must be 1 to 2\^31 - 1, got 0"),
    "a negative threshold": (node("s1", threshold=-1), r"\(lif 's1'\): threshold: must be an integer from 0"),
    "a threshold that is a string": (
        node("s1", threshold="900"),
        r"\(lif 's1'\): threshold: must be an integer .*'900'",
    ),
    "a leak above 1": (node("s1", leak=257), "s1: leak must be 0 to 256, got 257"),
    "a gain of 0": (node("s1", gain=0), "s1: gain must be 1 to 256, got 0"),
    "9 leak bits": (node("s1", leak_bits=9), "header: is not the one canonical text"),
    "16 leak bits": (node("s1", leak_bits=16), "s1: leak_bits must be 0 to 15, got 16"),
    "a leak that is true": (node("s1", leak=True), r"\(lif 's1'\): leak: must be an integer .* got True"),
    "a membrane of 1 bit": (node("s1", membrane=[1, 9]), "s1: membrane bits must be 2 to 8, got 1"),
    "a membrane of 33 bits": (node("s1", membrane=[33, 9]), "s1: membrane bits must be 2 to 8, got 33"),
    "a membrane shift of 40": (node("s1", membrane=[2, 40]), "s1: membrane shift must be 1 to 22, got 40"),
    "a membrane that is a number": (node("s1", membrane=2), r"\(lif 's1'\): membrane: must be a list of 2 integers"),
    "8-bit multipliers": (node("b1", bits=[8, 32]), r"\(affine 'b1'\): bits: must be two of 16 and 32, got \[8, 32\]"),
    "wider offsets than they need": (widen_offsets, "header: is not the one canonical text"),
    "an affine of other channels": (node("b1", shape=[2]), "tensor multiplier.i32: the nodes need 2 elements, got 3"),
    "padding bits that are set": (
        weight_byte(6, 0xC0),
        "conv 'c1': weight: the 2 padding bits after the last code must be 0",
    ),
    "the code -2 of 2 bits": (weight_byte(7, 0b10), r"c2: weight must be -1\.\.1, got -2"),
    "the code -128 of 8 bits": (weight_byte(8, 0x80), r"fc: weight must be -127\.\.127, got -128"),
    "a shift of 63": (
        lambda p: p.change_byte(p.tensor("shift").start, 63),
        "b1: shift must be 0 to 62, got 63",
    ),
    "an offset that overflows": (top_offset, r"b1: output may reach .* beyond 32 bits"),
    "an end before the time steps are added": (
        lambda p: p.document["nodes"].__delitem__(-1),
        "header: is not the one canonical text",  # a file of format 3 may end so
    ),
    "a neuron after the time steps are added": (
        item(12, ["lif logits"]),
        "header: is not the one canonical text",
    ),
}


@pytest.mark.parametrize("case", NODES)
def test_a_file_with(case: str) -> None:
    change, message = NODES[case]
    with pytest.raises((ArtifactError, GraphError), match=message):
        loads(changed(change))

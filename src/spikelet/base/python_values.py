"""The functions by which a tensor's value becomes a Python or NumPy value, which nothing that watches tensors follows.

Whatever is computed from such a value is a constant of the one input that was watched.
"""

BRANCHES = frozenset({"__bool__", "is_nonzero", "equal", "allclose", "__contains__"})
TAKES_NUMBERS = frozenset(
    {"item", "tolist", "numpy", "__array__", "__float__", "__int__", "__index__", "__complex__", "__dlpack__"}
)

"""How `make docs` builds the pages: README, tutorials, specifications, and one page a module out of its docstrings.

The root of the repository is Sphinx's source folder, so that links between our Markdown files hold as they are written.
Nothing is fetched from a network, neither while building nor while reading.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for plain_docstrings

project = "spikelet"
author = "The spikelet developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc", "plain_docstrings"]

root_doc = "docs/index"
include_patterns = [
    "*.md", "docs/*.md", "docs/spec/*.md", "docs/tutorials/*.md", "results/*.md", "src/spikelet/zoo/models/*.md",
    "build/api/*.rst",
]  # fmt: skip
exclude_patterns = [".venv", "build/docs", "runs", "demo"]
apidoc_modules = [
    {
        "path": "../src/spikelet",
        "destination": "build/api",
        "separate_modules": True,
        "module_first": True,
        "include_private": False,
        "exclude_patterns": ["../src/spikelet/cli/*", "../src/spikelet/__main__.py", "../src/spikelet/runtime/*.so"],
    }
]
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False  # torch's have a markup of their own
napoleon_use_ivar = True
autodoc_typehints = "signature"
myst_heading_anchors = 3
# A name that a folder hands on, as spikelet.SpikeletError, is described there and where it is written: either is right.
suppress_warnings = ["ref.python"]
myst_enable_extensions = []

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_title = "spikelet"
html_show_sourcelink = False

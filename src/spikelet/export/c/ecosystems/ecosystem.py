"""What an ecosystem of embedded software makes of an exported model: manifests, and an example that runs the self-test.

The C is the same everywhere. A template is text in which @name@ and other words of `Project.fill` are replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from spikelet.export.c.code import said
from spikelet.export.c.pages import readme
from spikelet.export.c.report import Report
from spikelet.export.c.selftest import selftest
from spikelet.export.c.text import Model

VERSION = "1.0.0"  # of what is exported


@dataclasses.dataclass(frozen=True, eq=False)
class Project:
    """A model that is written out: its C files by name (kernels included), and what it takes."""

    model: Model
    found: Report
    sources: Mapping[str, str]

    def fill(self, template: str, **more: str) -> str:
        """`template` with the model's words in the place of @name@, @NAME@, @title@, @version@ and those of `more`.

        @c@: names of the C files in src, one a line behind what stands before the word.
        """
        words = {
            "name": self.model.name, "NAME": self.model.name.upper(), "title": said(self.model.graph.title),
            "version": VERSION, **more,
        }  # fmt: skip
        lines = []
        for line in template.splitlines(keepends=True):
            each = [name for name in sorted(self.sources) if name.endswith(".c")] if "@c@" in line else [""]
            lines += [line.replace("@c@", name) for name in each]
        text = "".join(lines)
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return text

    def filled(self, templates: Mapping[str, str], selftest: str) -> dict[str, str]:
        """Every template filled in, by its path, and at the path `selftest` the self-test."""
        return {**{path: self.fill(template) for path, template in templates.items()}, selftest: self.selftest}

    @property
    def selftest(self) -> str:
        """The C file whose function `name_selftest` gives the number of wrong values."""
        return selftest(self.model)


@dataclasses.dataclass(frozen=True)
class Ecosystem:
    """A way in which people install C.

    form: what a model becomes, as "an Arduino library".
    files: every file beside `src` and the README, by path.
    how: what to do with the folder, a template of Markdown.
    """

    form: str
    files: Callable[[Project], dict[str, str]]
    how: str

    def all_files(self, project: Project) -> dict[str, str]:
        """Every file, by its path in the folder."""
        return {
            **{f"src/{name}": text for name, text in project.sources.items()},
            **self.files(project),
            "README.md": readme(project.model, project.found, self.form, project.fill(self.how)),
        }

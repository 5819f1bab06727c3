"""A pytest plugin that says which tests take processor time, of their own process and of those that they start.

    make test PYTEST_ARGS="-p tests.support.processor_time"      all of them, by folder, file and test

A clock shows what else a machine was doing; processor time does so far less. A test has the time from the end of the
test before it, so fixtures count where they are first asked for. What is imported and collected is not in it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

SHOWN = 40
KEY = "processor seconds"


def processor_seconds() -> float:
    """Processor seconds of this process, and of the processes that it started and that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


class ProcessorTime:
    """Adds to every report what its phase took, and to the summary what took most."""

    def __init__(self) -> None:
        self.before = processor_seconds()
        self.tests: Counter[str] = Counter()

    def pytest_collection_finish(self) -> None:
        """The first test begins here."""
        self.before = processor_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Runs in the process of the test; reports travel to the one that sums them up."""
        report = yield
        now = processor_seconds()
        report.user_properties.append((KEY, now - self.before))
        self.before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Cases of one test are added up."""
        self.tests[report.nodeid.partition("[")[0]] += sum(value for key, value in report.user_properties if key == KEY)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Folders, and the files and tests that took most."""
        folders, files = Counter[str](), Counter[str]()
        for name, seconds in self.tests.items():
            file = name.partition("::")[0]
            folders[file.rpartition("/")[0]] += seconds
            files[file] += seconds
        terminalreporter.section(f"processor time of tests: {self.tests.total():.0f} s")
        for found, most in ((folders, None), (files, SHOWN), (self.tests, SHOWN)):
            for name, seconds in found.most_common(most):
                terminalreporter.write_line(f"{seconds:9.2f} s  {name}")
            terminalreporter.write_line("")


def pytest_configure(config: pytest.Config) -> None:
    """Registers one for this process."""
    config.pluginmanager.register(ProcessorTime())

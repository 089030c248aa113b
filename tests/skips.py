"""A plugin that counts what was skipped, by reason, and with LONGHOLD_NO_SKIPS fails a run that missed something.

A GPU and an instruction set may be missing anywhere, and some combinations of parameters are no case; whatever else a
test needs can be installed.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

NO_GPU = "needs a CUDA device, and this machine has none"
ALLOWED = (NO_GPU, "needs the instruction set ", "no such case: ")
"""How a reason begins that no package can help."""


class Skips:
    """What was skipped in this run."""

    def __init__(self) -> None:
        self.gpu: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    @property
    def missing(self) -> list[str]:
        """The reasons that something can be done about."""
        return sorted(reason for reason in self.reasons if not reason.startswith(ALLOWED))

    @property
    def fails(self) -> bool:
        """Whether the run fails for what it missed."""
        return bool(os.environ.get("LONGHOLD_NO_SKIPS") and self.missing)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if "gpu" in report.keywords and (report.when == "call" or report.skipped):
            self.gpu[report.outcome] += 1
        self._count(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._count(report)

    def _count(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            found = report.longrepr
            self.reasons[str(found[2] if isinstance(found, tuple) else found).removeprefix("Skipped: ")] += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and self.fails:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        run = self.gpu["passed"] + self.gpu["failed"]
        terminalreporter.write_line(f"GPU tests run: {run} of {sum(self.gpu.values())}")
        for reason, count in sorted(self.reasons.items()):
            terminalreporter.write_line(f"skipped {count}: {reason}")
        if self.fails:
            terminalreporter.write_line(f"FAILED for what was missing: {'; '.join(self.missing)}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Skips(), "longhold-skips")

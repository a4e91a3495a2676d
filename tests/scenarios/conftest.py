"""One line per guard in the last lines of a test run: which scenario fails without it."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the guard mutation found."""
    told = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "guard"
    ]
    if told:
        terminalreporter.section("guards, and the scenario that fails without each")
        for line in sorted(told):
            terminalreporter.write_line(str(line))

"""What every test shares: virtual time by default where it belongs, and no silent skip of a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# A slow machine is no bug.
hypothesis.settings.register_profile("watchdogd", deadline=None)
hypothesis.settings.load_profile("watchdogd")

TESTS = Path(__file__).parent
# Everything here runs on virtual time; a loop that has nothing left to wait for is an error after 5 s of it.
ON_VIRTUAL_TIME = (TESTS / "unit" / "core", TESTS / "runbooks", TESTS / "scenarios", TESTS / "review")
LOOPTIME_DEFAULTS = pytest.mark.looptime(noop_cycles=1, idle_timeout=5)
REQUIRE_REAL = os.environ.get("WATCHDOGD_REQUIRE_REAL", "") not in ("", "0")


@dataclass(frozen=True, slots=True)
class Need:
    """Asks for what only some machines have, and skips with the reason where it is missing."""

    def program(self, name: str, *, package: str) -> str:
        """The path of a program, looked for in PATH and the sbin folders."""
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if found is None:
            pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
        return found

    def root(self, why: str) -> None:
        """Stop here unless we are root."""
        if os.geteuid() != 0:
            pytest.skip(f"needs root: {why}")


@pytest.fixture(scope="session")
def need() -> Need:
    return Need()


def pytest_configure() -> None:
    """Say that the main thread has no loop of its own, and let Ctrl-C reach what the tests start.

    Otherwise a shell that starts the tests in its background (`make test`) has SIGINT ignored in them and in all their
    children (POSIX); and pytest-asyncio 1.5, asking for the loop that it has to restore, makes Python 3.11 create one
    that nobody closes, and its ResourceWarning fails whatever runs while it is collected.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give looptime's settings to what runs on virtual time, by its folder or by its own marker.

    Appended, so that a test's own `@pytest.mark.looptime(...)`, also `looptime(False)`, wins.
    """
    for item in items:
        marked = item.get_closest_marker("looptime") is not None
        if marked or any(item.path.is_relative_to(folder) for folder in ON_VIRTUAL_TIME):
            item.add_marker(LOOPTIME_DEFAULTS, append=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything real is required, a skip is a failure that says what was missing."""
    report = yield
    if report.skipped and REQUIRE_REAL and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but WATCHDOGD_REQUIRE_REAL is set: {_reason(report)}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what was skipped and why, once per reason."""
    tests_of: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        tests_of.setdefault(_reason(report), []).append(report.nodeid)
    if not tests_of:
        return
    terminalreporter.section("not run here (WATCHDOGD_REQUIRE_REAL=1 makes these fail)", yellow=True)
    for reason, tests in sorted(tests_of.items()):
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        terminalreporter.write_line(f"SKIPPED {tests[0]}{more}: {reason}")


def _reason(report: pytest.TestReport) -> str:
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return said.removeprefix("Skipped: ")

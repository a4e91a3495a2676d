"""The fence to copy keeps the contract of the manual, whatever the network under it says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.live
SAMPLE = Path(__file__).parents[2] / "config" / "fence" / "fence"
DONE, FAILED, USAGE, TRY_AGAIN = 0, 1, 2, 75


def run(directory: Path, verb: str, **functions: int) -> int:
    """The exit status of the sample over a network whose functions answer with these statuses."""
    answers = {"can_act": 0, "close_clients": 0, "open_clients": 0, "clients_can_connect": 1, **functions}
    text = "".join(f"{name}() {{ return {status}; }}\n" for name, status in answers.items())
    (directory / "fence-actions-east").write_text(text, encoding="utf-8")
    fence = Path(shutil.copy(SAMPLE, directory / "fence"))
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        [fence, "east", verb], env=environment, capture_output=True, timeout=20, check=False
    ).returncode


@pytest.mark.parametrize(
    ("verb", "functions", "status"),
    [
        ("check", {}, DONE),
        ("check", {"can_act": 1}, FAILED),
        ("on", {}, DONE),
        ("on", {"close_clients": 1}, TRY_AGAIN),
        ("on", {"clients_can_connect": 0}, TRY_AGAIN),
        ("on", {"clients_can_connect": 9}, FAILED),
        ("off", {}, DONE),
        ("off", {"open_clients": 1}, TRY_AGAIN),
        ("bogus", {}, USAGE),
    ],
)
def test_the_sample_fence_says_done_only_for_what_it_saw(
    tmp_path: Path, verb: str, functions: dict[str, int], status: int
) -> None:
    assert run(tmp_path, verb, **functions) == status


def test_the_sample_fence_fails_for_a_cluster_that_nobody_described(tmp_path: Path) -> None:
    fence = Path(shutil.copy(SAMPLE, tmp_path / "fence"))
    assert subprocess.run([fence, "north", "on"], capture_output=True, timeout=20, check=False).returncode == FAILED

"""The demo as its users meet it: a process, what it prints, its exit status, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.timeout(200)]
ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 190


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One demo: the process, and the directory that it keeps its own directory in."""

    process: subprocess.Popen[str]
    room: Path

    @classmethod
    def begin(cls, *words: str) -> Performance:
        # Not tmp_path: the path of a unix socket is short.
        room = Path(tempfile.mkdtemp(prefix="wd-"))
        command = [sys.executable, "-m", "watchdogd.cli.lab", "demo", *words]
        environment = {**os.environ, "TMPDIR": str(room), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=room, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return cls(process=process, room=room)

    def read_until(self, text: str) -> None:
        """Raises AssertionError when the demo ends before it says so."""
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), f"never said: {text}"

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=ENDS_WITHIN_S)
        return self.process.returncode, said

    def left_files(self) -> Sequence[str]:
        return [path.name for path in self.room.iterdir()]

    def left_processes(self) -> Sequence[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found.append(path.read_bytes().decode("utf-8", "replace").replace("\0", " "))
        return [words for words in found if str(self.room) in words]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate()
        shutil.rmtree(self.room)


@pytest.fixture(scope="module")
def performances() -> Iterator[dict[str, Performance]]:
    """Both at once, on ports of their own: each mostly waits."""
    both = {"whole": Performance.begin(), "spoilt": Performance.begin("--break", "fence")}
    yield both
    for performance in both.values():
        performance.close()


def test_the_demo_fails_over_says_what_it_cost_and_leaves_nothing_behind(performances: dict[str, Performance]) -> None:
    status, said = performances["whole"].end()
    assert status == 0, said
    assert "SIMULATOR" in said
    assert "\x1b" not in said  # nobody looks at it through a terminal
    for sentence in (
        r"S-10 healthy",
        r"region east is gone",
        r"missing +east is not serving",
        r"S-30 the primary is down, the secondary hears nothing and is able",
        r"the client network of east is closed",
        r"west/1 received sys/replication/dr/secondary/promote: Vault says 200",
        r"resolver +answers clients: the service name is vault-west\.example\.test",
        r"writer-1 +writes are acknowledged, by 127\.2\.2\.100",
        r"east is back as an active primary, beside west",
        r"east/1 received sys/replication/dr/primary/demote: Vault says 200",
        r"the client network of east is open again",
        r"detection, from the death to the decision +\d+\.\d s +17\.8 s +56\.0 s",
        r"total, from the death to the published name +\d+\.\d s",
        r"77\.76 s",
        r"acknowledged writes +\d+, every one looked for on west",
        r"of them lost +\d+.* \(the lab counts \d+\)",
        r"two writable primaries +0\.0 s",
        r"every expectation held; nothing is left running",
    ):
        assert re.search(sentence, said), f"{sentence}\n{said}"
    assert "FAILED" not in said
    assert performances["whole"].left_processes() == []
    assert performances["whole"].left_files() == []


def test_a_demo_whose_fence_cannot_close_fails_and_names_what_to_look_at(performances: dict[str, Performance]) -> None:
    status, said = performances["spoilt"].end()
    assert status == 1, said
    sentence = next(line for line in said.splitlines() if line.startswith("FAILED: "))
    assert "no promote reached west" in sentence
    assert "fence" in sentence
    assert "exit 1" in sentence
    assert "west/1 received" not in said
    look_at = re.findall(r"look at (\S+)", said)
    assert look_at
    assert all(Path(path).exists() for path in look_at)
    assert performances["spoilt"].left_processes() == []
    (kept,) = performances["spoilt"].left_files()
    assert f"kept: {performances['spoilt'].room / kept}" in said


def test_an_interrupted_demo_stops_what_it_started_and_leaves_nothing_behind() -> None:
    interrupted = {signum: Performance.begin() for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        for signum, performance in interrupted.items():
            performance.read_until("S-10 healthy")
            performance.process.send_signal(signum)
        for signum, performance in interrupted.items():
            status, said = performance.end()
            assert status == 128 + signum, said
            assert f"interrupted by {signum.name}" in said
            assert performance.left_processes() == []
            assert performance.left_files() == []
    finally:
        for performance in interrupted.values():
            performance.close()

"""What docs/lab.md has a reader type is typed, in bash, at a served lab; what it says comes out has to come out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Need
from watchdogd.rehearsal.free_ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(150)]

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
BY_HAND, OWN_DAEMON = "## DR by hand, from empty clusters", "## Run the daemon against it"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VOLATILE = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{40}\b")
HERE, PORT, MARK = "/var/tmp/watchdogd-lab", "8200", "=== next ==="  # of the page
# The page leaves every duration as it is in life; a test has no use for waiting.
HURRY = {
    "election_s": 0.4,
    "standby_told_s": 0.1,
    "enable_s": 0.3,
    "secondary_enable_s": 0.3,
    "promote_s": 0.5,
    "demote_s": 0.3,
    "update_primary_s": 0.3,
    "reconnect_s": 0.1,
    "merkle_diff_s": 0.1,
    "merkle_sync_s": 0.2,
}
BASH, STOP_S, WALK_S = "/bin/bash", 20.0, 100.0


def section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    start = text.index(f"\n{heading}\n")
    return text[start : text.index("\n## ", start + 1)]


def steps(text: str) -> list[tuple[str, str]]:
    """What is typed, each with what the page says comes out: nothing, where it says nothing."""
    found: list[tuple[str, str]] = []
    for language, block in BLOCK.findall(text):
        if language == "sh":
            found.append((block, ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + block)
    return found


def masked(outputs: list[str]) -> list[str]:
    """Ids and roots by the order in which they first come: what is the same stays the same."""
    seen: dict[str, str] = {}
    return [VOLATILE.sub(lambda m: seen.setdefault(m[0], f"<{len(seen) + 1}>"), text) for text in outputs]


@contextmanager
def process(script: str, env: dict[str, str], **streams: int | object) -> Iterator[subprocess.Popen[str]]:
    """A bash of its own group, which is gone afterwards with all that it started."""
    with subprocess.Popen(
        [BASH, "-u", "-c", script],
        env=env,
        text=True,
        start_new_session=True,
        **streams,  # type: ignore[call-overload]
    ) as bash:
        try:
            yield bash
        finally:
            if bash.poll() is None:
                os.killpg(bash.pid, signal.SIGTERM)
                bash.wait(STOP_S)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A shell with the commands of this checkout."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, module in {"watchdogd": "main", "watchdogctl": "ctl", "watchdogd-lab": "lab"}.items():
        command = binaries / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m watchdogd.cli.{module} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    path = os.pathsep.join([str(binaries), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": path, "PYTHONPATH": str(PAGE.parents[1]), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}


@contextmanager
def walk(heading: str, folder: Path, env: dict[str, str], *knobs: str) -> Iterator[list[tuple[str, str]]]:
    """The steps at a lab that the chapter's first command has started, at a place and a port of its own."""
    port = str(free_port())
    (start, nothing), *rest = steps(section(heading).replace(HERE, str(folder / "lab")).replace(PORT, port))
    assert (start.startswith("watchdogd-lab up "), f"--port {port}" in start, nothing) == (True, True, "")
    command = " ".join(["exec", start.strip(), *knobs])
    with process(command, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as lab:
        said: list[str] = []
        while not said or "watchdogd-lab env west" not in said[-1]:  # its last line, when it listens
            said.append(lab.stdout.readline() if lab.stdout else "")
            assert said[-1], "".join(said)
        yield rest


def type_it(walked: list[tuple[str, str]], env: dict[str, str]) -> None:
    """All of it in one shell: what the page shows comes out, and nothing is complained of."""
    script = "\n".join(f"{typed}\necho '{MARK}'" for typed, _ in walked)
    with process(script, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as bash:
        try:
            said, complaints = bash.communicate(timeout=WALK_S)
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"it stands still after:\n{(late.stdout or b'').decode()}")
    outputs = said.split(f"{MARK}\n")[:-1]
    assert list(zip([typed for typed, _ in walked], masked(outputs), strict=True)) == list(
        zip([typed for typed, _ in walked], masked([shown for _, shown in walked]), strict=True)
    )
    assert complaints == ""


def test_a_reader_sets_up_dr_loses_a_region_and_puts_it_together_again(
    tmp_path: Path, env: dict[str, str], need: Need
) -> None:
    need.program("curl", package="curl")
    with walk(BY_HAND, tmp_path, env, *(f"--knob {name}={value}" for name, value in HURRY.items())) as walked:
        type_it(walked, env)


def test_a_reader_runs_a_daemon_of_their_own_against_the_lab(tmp_path: Path, env: dict[str, str]) -> None:
    with walk(OWN_DAEMON, tmp_path, env) as walked:
        type_it(walked, env)


def test_what_is_the_same_on_the_page_has_to_be_the_same_in_life() -> None:
    one, other = "a" * 40, "b" * 40
    assert masked([f"{one} {other}", one]) == ["<1> <2>", "<1>"]
    assert masked([f"{one} {other}", other]) != masked([f"{one} {other}", one])

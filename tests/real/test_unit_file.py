"""The unit as systemd's own tools judge it: nothing that it does not understand, and little that it could do."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

pytestmark = pytest.mark.real

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE_MAX = "15"  # tenths: 1.5
INSTALLED = "/opt/watchdogd/bin/"


class Machine(Protocol):
    def program(self, name: str, *, package: str) -> str: ...

    def root(self, why: str) -> None: ...


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """A copy whose commands exist on this machine: `verify` asks for that too."""
    for name in ("watchdogd", "watchdogctl"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    copy = tmp_path / "watchdogd.service"
    copy.write_text((UNITS / "watchdogd.service").read_text().replace(INSTALLED, f"{tmp_path}/"))
    assert INSTALLED not in copy.read_text()
    return copy


def analyzed(need: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    analyze = need.program("systemd-analyze", package="systemd")
    return subprocess.run([analyze, *words], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_understands_every_line_of_the_unit(need: Machine, unit: Path) -> None:
    said = analyzed(need, "verify", "--man=no", str(unit))
    assert (said.returncode, said.stderr) == (0, "")  # it exits 0 on an unknown key: what it prints decides


def test_this_very_check_finds_a_key_that_systemd_does_not_know(need: Machine, unit: Path) -> None:
    unit.write_text(unit.read_text().replace("Type=notify\n", "Type=notify-reload-soon\nWatchdogSecs=30s\n"))
    said = analyzed(need, "verify", "--man=no", str(unit)).stderr
    assert "service type" in said
    assert "WatchdogSecs" in said


def test_systemd_understands_the_drop_in_once_its_comments_are_taken_away(need: Machine, unit: Path) -> None:
    folder = unit.with_name("watchdogd.service.d")
    folder.mkdir()
    lines = (UNITS / "credentials.conf").read_text().splitlines()
    taken = [line.removeprefix("#") if line.startswith(("#Load", "#Env")) else line for line in lines]
    assert len(set(taken) - set(lines)) == 5
    (folder / "credentials.conf").write_text("\n".join([*taken, ""]))
    said = analyzed(need, "verify", "--man=no", str(unit))
    assert (said.returncode, said.stderr) == (0, "")


def test_the_service_is_exposed_by_1_5_at_most(need: Machine, unit: Path) -> None:
    said = analyzed(need, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", str(unit))
    assert said.returncode == 0, said.stdout


def made_in(root: Path, program: str, *words: str) -> None:
    done = subprocess.run([program, f"--root={root}", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_user_the_groups_and_the_directories_are_made_as_the_unit_needs_them(need: Machine, tmp_path: Path) -> None:
    need.root("directories are given to another user")
    (tmp_path / "etc").mkdir()
    made_in(tmp_path, need.program("systemd-sysusers", package="systemd"), str(UNITS / "watchdogd.sysusers"))
    users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc" / "passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc" / "group").read_text().splitlines()}
    assert set(groups) == {"watchdogd", "watchdogd-operators"}
    assert users["watchdogd"][3] == groups["watchdogd"][2]
    tmpfiles = need.program("systemd-tmpfiles", package="systemd")
    made_in(tmp_path, tmpfiles, "--create", str(UNITS / "watchdogd.tmpfiles"))
    status = (tmp_path / "etc" / "watchdogd" / "credentials").stat()
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert [str(status.st_uid), str(status.st_gid)] == users["watchdogd"][2:4]

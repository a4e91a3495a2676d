"""One daemon per state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from watchdogd.adapters.store.lock import NAME, StateLocked, locked
from watchdogd.adapters.store.trouble import StateUnreadable
from watchdogd.errors import ConfigError

HOLDER = """
import pathlib, sys
from watchdogd.adapters.store.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[3]


@contextmanager
def held_elsewhere(state_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process holds the lock."""
    command = [sys.executable, "-c", HOLDER, str(state_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.kill()


def test_the_directory_is_made_private_and_the_pid_is_written(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    with locked(state_dir):
        assert state_dir.stat().st_mode & 0o777 == 0o700
        assert (state_dir / NAME).stat().st_mode & 0o777 == 0o600
        assert (state_dir / NAME).read_text() == f"{os.getpid()}\n"
    assert (state_dir / NAME).read_text() == ""


def test_a_directory_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with locked(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_second_daemon_is_told_who_holds_it_and_what_to_do(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as holder:
        with pytest.raises(StateLocked) as refused, locked(tmp_path):
            pytest.fail("both hold it")
        assert refused.value.holder_pid == holder.pid
        assert isinstance(refused.value, ConfigError)
        assert len(refused.value.problems) == 1


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as holder:
        holder.kill()
        holder.wait()
        with locked(tmp_path):
            assert (tmp_path / NAME).read_text() == f"{os.getpid()}\n"


def test_a_lock_file_with_garbage_in_it_names_nobody(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / NAME).write_text("garbage")
        with pytest.raises(StateLocked) as refused, locked(tmp_path):
            pytest.fail("both hold it")
        assert refused.value.holder_pid is None


def test_a_child_that_outlives_us_does_not_keep_the_lock(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo started; exec sleep 60"]
    with locked(tmp_path):
        child = subprocess.Popen(command, close_fds=False, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # the kernel closes what is not inherited a moment after it lets us go on
    with child:
        try:
            with locked(tmp_path):
                assert child.poll() is None
        finally:
            child.kill()


@pytest.mark.parametrize("what", ["missing parent", "a file", "a link"])
def test_what_cannot_be_locked_is_said(tmp_path: Path, what: str) -> None:
    state_dir = tmp_path / "gone" / "state" if what == "missing parent" else tmp_path / "state"
    if what == "a file":
        state_dir.touch()
    if what == "a link":
        state_dir.mkdir()
        (state_dir / NAME).symlink_to("elsewhere")
    with pytest.raises(StateUnreadable), locked(state_dir):
        pytest.fail("it was locked")
    assert not (state_dir / "elsewhere").exists()

"""`watchdogd-lab config`: what it prints is what `watchdogd run` takes, and everything that it names is there."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

import pytest

from tests.support.lab_file import lab_file
from watchdogd.adapters.config import load_config
from watchdogd.adapters.settings import Settings
from watchdogd.cli import lab, main
from watchdogd.core.model import PairId
from watchdogd.core.policy import Environment, Level
from watchdogd.daemon.exits import Exit
from watchdogd.rehearsal.lab_settings import DEMO

PAIR = PairId("lab")


def printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """What the verb prints, in a file."""
    assert lab.main(["config", "--dir", str(folder)]) == lab.OK
    path = folder / "w.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> Settings:
    return load_config(str(printed(folder, capsys)))


def test_the_daemon_takes_it_and_everything_that_it_names_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab_file(tmp_path).write(tmp_path)
    settings = loaded(tmp_path, capsys)
    pair, policy = settings.pairs[PAIR], settings.pairs[PAIR].policy
    assert settings.policy.environment is Environment.LAB
    assert (policy.levels.failover, policy.timing.down_after_s) == (Level.AUTO, DEMO.down_after_s)
    fences = [fence.argv for fence in pair.fences.values()]
    assert [(Path(argv[0]).is_file(), *argv[1:]) for argv in fences] == [
        (True, "fence", name, "--dir", str(tmp_path)) for name in ("east", "west")
    ]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "daemon").rglob("*")}
    assert {modes[name] for name in ("credentials", "state-1")} == {0o700}
    assert (tmp_path / "daemon" / "credentials" / "dr-token-a").read_text() == "dr_token_a-of-the-lab\n"
    assert {modes[name] for name in ("dr-token-a", "dr-token-b", "share-1", "share-2", "share-3")} == {0o600}


def test_its_check_has_nothing_to_say_but_what_the_made_up_ca_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab_file(tmp_path).write(tmp_path)
    path = printed(tmp_path, capsys)
    assert main.main(["check-config", str(path)]) == Exit.CLEAN
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "ca.pem is no readable PEM file" not in line] == [
        f"{path}: good (lab; lab), with 1 warning(s) of what this machine lacks"
    ]


def test_what_it_tells_one_to_type_can_be_typed_whatever_the_directory_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "with space").mkdir()
    lab_file(folder).write(folder)
    typed = [line for line in printed(folder, capsys).read_text().splitlines() if line.startswith("# watchdogctl ")]
    assert [shlex.split(line)[1:] for line in typed] == [
        ["watchdogctl", "--socket", str(folder / "daemon" / "control.sock"), "status"]
    ]


def test_no_secret_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = lab_file(tmp_path)
    kept.write(tmp_path)
    text = printed(tmp_path, capsys).read_text()
    assert [name for name, secret in kept.credentials.items() if secret in text] == []


def test_a_lab_that_is_started_anew_has_a_state_of_its_own_and_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = []
    for pid in (1, 2):
        lab_file(tmp_path, pid=pid).write(tmp_path)
        states.append(loaded(tmp_path, capsys).state_dir)
    assert [Path(state).name for state in states] == ["state-1", "state-2"]


def test_a_performance_pair_is_only_observed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab_file(tmp_path, kind="performance").write(tmp_path)
    assert loaded(tmp_path, capsys).pairs[PAIR].policy.levels.failover is Level.OBSERVE


def test_of_three_clusters_two_are_the_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab_file(tmp_path, clusters=("north", "south", "island")).write(tmp_path)
    path = printed(tmp_path, capsys)
    assert [*load_config(str(path)).pairs[PAIR].policy.clusters] == ["north", "south"]
    assert "# The lab's others are no part of it: island.\n[pair.lab]\n" in path.read_text()


def test_empty_clusters_and_no_lab_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["config", "--dir", str(tmp_path)]) == lab.USAGE
    assert capsys.readouterr().err.startswith(f"watchdogd-lab: no lab in {tmp_path}: ")
    lab_file(tmp_path, kind="none").write(tmp_path)
    assert lab.main(["config", "--dir", str(tmp_path)]) == lab.USAGE
    said = "the clusters of this lab are empty (--kind none): there is no pair to guard"
    assert capsys.readouterr().err == f"watchdogd-lab: {said}\n"


def test_a_cluster_that_is_alone_is_no_pair_to_guard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab_file(tmp_path, clusters=("east",)).write(tmp_path)
    assert lab.main(["config", "--dir", str(tmp_path)]) == lab.USAGE
    assert "this lab has one cluster: there is no pair to guard" in capsys.readouterr().err

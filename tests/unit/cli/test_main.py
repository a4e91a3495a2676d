"""The command line of the daemon: exit codes of INTERFACES section 7, and what it prints without a world."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.configs import drop, good, put
from watchdogd import __version__
from watchdogd.cli.main import main
from watchdogd.daemon.exits import Exit

SHIPPED = str(Path(__file__).parents[3] / "config" / "watchdogd.toml")


def test_a_good_config_exits_0_and_says_what_it_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", SHIPPED]) == Exit.CLEAN
    said = capsys.readouterr().out
    assert "notice: pair.prod.cluster.west.fence: while west is elected, failover acts as approve" in said
    assert said.splitlines()[-1].startswith(f"{SHIPPED}: good (production; prod)")


def test_a_secret_that_is_not_there_is_a_warning_and_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "watchdogd.toml"
    path.write_bytes(good(put("./credentials/dr_operation_token", [{"file": str(tmp_path / "gone")}])))
    assert main(["check-config", str(path)]) == Exit.CLEAN
    said = capsys.readouterr().out
    assert f"warning: {tmp_path / 'gone'} cannot be read" in said
    assert said.splitlines()[-1].endswith(f", with {said.count('warning: ')} warning(s) of what this machine lacks")


def test_what_this_machine_lacks_is_a_warning_that_names_the_key_and_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ca_file, run = tmp_path / "watchdogd.toml", tmp_path / "ca.pem", tmp_path / "run"
    fence = {"timeout": "5s", "on_failure": "block"}
    ca_file.write_text("no certificate")
    path.write_bytes(
        good(
            put("./cluster/east/tls", {"ca_file": str(ca_file)}),
            put("./cluster/east/fence", {**fence, "command": [str(tmp_path)]}),
            put("./cluster/west/fence", {**fence, "command": [str(tmp_path / "gone"), "west"]}),
            put("control", {"socket": str(run / "control.sock"), "operators_group": "no-such-group"}),
            put("state_dir", str(run / "state")),
        )
    )
    assert main(["check-config", str(path)]) == Exit.CLEAN
    said = capsys.readouterr().out
    assert f"warning: tls.ca_file: {ca_file} is no readable PEM file" in said
    assert f"warning: fence: {tmp_path} cannot be run (no file)" in said
    assert f"warning: fence: {tmp_path / 'gone'} cannot be run (no such file)" in said
    assert f"warning: control.socket: {run} is no directory: install -d" in said
    assert "warning: control.operators_group: no group no-such-group here" in said
    assert f"warning: state_dir: {run} is no directory: " in said


@pytest.mark.parametrize("verb", ["check-config", "timing"])
def test_a_broken_config_exits_2_and_every_problem_is_a_line(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "watchdogd.toml"
    path.write_bytes(good(put("sate", 1), drop("./home")))
    assert main([verb, str(path)]) == Exit.CONFIG
    problems = capsys.readouterr().err.splitlines()
    assert [problem.partition(":")[0] for problem in problems] == ["pair.prod.home", "sate", str(path)]
    assert problems[-1].endswith("2 problem(s)")


def test_the_timing_is_printed_with_names_numbers_and_the_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timing", SHIPPED, "--promotion", "12s", "--propagation", "30s"]) == Exit.CLEAN
    said = capsys.readouterr().out
    assert "pair prod, east lost (fence of at most 10 s)" in said
    assert "pair prod, west lost (no fence)" in said
    rows = {line[:80].strip(): line[80:].strip() for line in said.splitlines()}
    assert rows["of it detection"] == "56.0 s"
    assert rows["promotion (assumed)"] == "12.0 s"
    assert rows["propagation to the authoritative servers (assumed)"] == "30.0 s"
    assert any(name.startswith("worst case, of 77.76 s") for name in rows)
    assert "unbounded" in said
    assert rows["its active node is new: no heartbeat reached it before the loss, from the loss"] == "116.0 s"


@pytest.mark.parametrize("argv", [[], ["watch"], ["timing", "--promotion", "10", SHIPPED]])
def test_a_wrong_command_line_exits_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"watchdogd {__version__}\n"


def test_the_diagram_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagram"]) == Exit.CLEAN
    assert capsys.readouterr().out.startswith("flowchart TD\n")

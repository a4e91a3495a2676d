"""What a person types at `watchdogd-lab` and what cannot be is refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from watchdogd.cli import lab
from watchdogd.lab.fault_shapes import SHAPES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vault-version", "foo"], "'foo' is no version of Vault: as 1.19.0, or 1.19.0+ce"),
        (["--nodes", "0"], "a cluster has 1 to 99 nodes, not 0"),
        (["--nodes", "100"], "a cluster has 1 to 99 nodes, not 100"),
        (["--port", "99999"], "a port is from 1 to 65535, not 99999"),
        (["--port", "0"], "a port is from 1 to 65535, not 0"),
        (["--clusters", "east,,west"], "a cluster is called by letters, digits and dashes, not ''"),
        (["--clusters", "east,we_st"], "a cluster is called by letters, digits and dashes, not 'we_st'"),
    ],
)
def test_a_world_that_cannot_be_is_refused_in_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.main(["up", "--dir", str(tmp_path), *words]) == lab.USAGE
    assert capsys.readouterr().err == f"watchdogd-lab: {said}\n"


def test_the_help_of_fault_shows_each_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lab.main(["fault", "--help"])
    shown = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")}
    assert {"add", "list", "clear", "kinds"} <= shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: KIND, TARGET\n"),
        (["drop", "lb:east", "--from", "mars"], "invalid choice: 'mars' (choose from bastion, clients, interior)\n"),
    ],
)
def test_what_is_missing_or_no_place_is_said_in_the_words_one_types(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        lab.main(["fault", "add", *words])
    assert exited.value.code == lab.USAGE
    assert (
        capsys.readouterr().err.replace("'bastion', 'clients', 'interior'", "bastion, clients, interior").endswith(said)
    )


def test_every_kind_of_fault_is_listed_with_its_targets_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.main(["fault", "kinds"]) == lab.OK
    printed = capsys.readouterr().out
    heads = [line.split() for line in printed.splitlines() if not line.startswith(" ")]
    assert {head[0]: frozenset(head[1:]) - {"[--from", "PLACE]"} for head in heads} == {
        kind.value: shape.targets for kind, shape in SHAPES.items()
    }
    assert "    probability=a number from 0 to 1, needed\n" in printed
    assert "    rule=standbyok or drsecondarycode or tcp, needed\n" in printed


def test_a_fence_does_not_pay_for_a_world_that_it_only_asks() -> None:
    """It is started in the middle of a failover, whose next step waits for it."""
    loaded = "import watchdogd.cli.lab, sys; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert {"aiohttp", "cryptography", "trustme", "watchdogd.lab.routes", "watchdogd.lab.world"} & set(modules) == set()

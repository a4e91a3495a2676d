"""The two variables that name a licensed Vault Enterprise: what is wrong with them is said in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import openbao
from tests.support.licensed import BINARY, LICENCE, Misconfigured, is_asked_for, licensed
from tests.support.own_venv import NotHere

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bao() -> Path:
    try:
        return openbao.binary().program
    except NotHere as exc:
        pytest.skip(str(exc))


def program(folder: Path, says: str) -> str:
    """A program that answers to `version`."""
    path = folder / "vault"
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o700)
    return str(path)


def refusal(**given: str) -> str:
    """What is said of the variables, by their last word."""
    with pytest.raises(Misconfigured) as no:
        licensed({f"WATCHDOGD_VAULT_{name}": value for name, value in given.items()})
    return str(no.value)


def test_openbao_without_a_licence_is_refused_in_one_sentence(bao: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.licensed"],
        cwd=ROOT,
        env={BINARY: str(bao)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = f"make enterprise: {BINARY}={bao} is not Vault, which alone has replication: its version is 'OpenBao v"
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(told)


def test_each_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    enterprise, licence = program(tmp_path, "Vault v1.19.0+ent (0a1b), built 2025-03-04"), tmp_path / "vault.hclic"
    assert refusal(LICENSE="x") == f"{BINARY} must name the binary of a Vault Enterprise, and is not set"
    assert refusal(BINARY=str(tmp_path)) == f"{BINARY}={tmp_path} is no file that can be executed"
    assert refusal(BINARY=enterprise).startswith(f"{LICENCE} must name the file with the licence")
    assert refusal(BINARY=enterprise, LICENSE=str(licence)) == f"{LICENCE}={licence} is no file that can be read"
    licence.touch()
    assert licensed({BINARY: enterprise, LICENCE: str(licence)}).environ == {"VAULT_LICENSE_PATH": str(licence)}
    community = program(tmp_path, "Vault v1.19.0 (0a1b), built 2025-03-04")
    assert "is not an Enterprise build" in refusal(BINARY=community, LICENSE=str(licence))


def test_one_variable_is_enough_to_be_told_of_the_forgotten_one() -> None:
    assert [is_asked_for({}), is_asked_for({BINARY: ""}), is_asked_for({LICENCE: "x"})] == [False, False, True]


def test_the_guide_names_both_variables_and_says_that_nobody_ran_it() -> None:
    guide = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    section = guide.partition("## On a licensed Vault Enterprise")[2].partition("\n## ")[0]
    assert BINARY in section
    assert LICENCE in section
    assert "**not verified: never run**" in section

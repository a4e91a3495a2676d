"""What a person types at `watchdogd-lab` and what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdogd.cli import lab


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

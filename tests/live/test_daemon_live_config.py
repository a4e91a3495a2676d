"""`watchdogd check-config` as a process: every mistake at once, each with its place and the way out, exit status 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.configs import good, put

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
WEST, EAST = "./cluster/west", "./cluster/east"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    status: int
    problems: list[str]
    raw: str

    def about(self, path: str) -> str:
        """The one problem of this place."""
        found = [line for line in self.problems if line.startswith(f"{path}:")]
        assert len(found) == 1, self.raw
        return found[0]


def check(path: Path) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "watchdogd.cli.main", "check-config", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    return Said(status=done.returncode, problems=lines[:-1], raw=done.stderr)


def check_text(folder: Path, raw: bytes) -> Said:
    path = folder / "watchdogd.toml"
    path.write_bytes(raw)
    return check(path)


FIELDS: Mapping[str, tuple[str, object, str]] = {
    # where: (as our writer spells the place, what is put there, a word of the way out)
    "state_dir": ("state_dir", "relative/path", "absolute"),
    "surprise": ("surprise", 1, "one of control"),
    "control.signals[0]": ("control/signals", ["KILL"], "TERM"),
    "pair.prod.replication": ("./replication", "both", 'or "performance"'),
    "pair.prod.replication_id": ("./replication_id", "not-a-uuid", "an id like"),
    "pair.prod.levels.failover": ("./levels/failover", "maybe", "auto"),
    "pair.prod.cluster.east.address": (f"{EAST}/address", "http://vault-east.example.com", "https://"),
    "pair.prod.cluster.east.nodes[0]": (f"{EAST}/nodes", ["10.1.0.11"], "https://"),
    "pair.prod.cluster.west.tls.min_version": (f"{WEST}/tls", {"min_version": "1.0"}, "1.2"),
    "pair.prod.cluster.west.fence": (f"{WEST}/fence", {"comand": ["x"]}, "waived ="),
    "pair.prod.timing.interval": ("./timing/interval", 3, "3s"),
    "pair.prod.timing.down_rounds": ("./timing/down_rounds", "8", "a whole number"),
    "pair.prod.policy.sealed_is_down": ("./policy/sealed_is_down", "no", "true or false"),
    "pair.prod.credentials.vault_token": ("./credentials/vault_token", "hvs.in-the-config", "file"),
    "pair.prod.dns": ("./dns/provider", "bind", "route53"),
}

RULES: Mapping[str, tuple[str, object, str]] = {
    "pair.prod.home": ("./home", "north", "east"),
    "pair.prod.cluster.west.vault_id": (
        f"{WEST}/vault_id",
        "d2fbb13b-0830-70a3-4751-57b6b6d95d01",
        "cluster_id of sys/health",
    ),
    "pair.prod.timing.probe_timeout": ("./timing/probe_timeout", "5s", "less than interval"),
    "pair.prod.timing.down_after": ("./timing/down_after", "29s", "at least 30 s"),
    "pair.prod.timing.heartbeat_stale_after": ("./timing/heartbeat_stale_after", "14s", "three of Vault's"),
    "pair.prod.timing.up_rounds": ("./timing/up_rounds", 1, "at least 2"),
    "pair.prod.credentials.dr_operation_token": ("./credentials/dr_operation_token", [], "two, tried in order"),
    "pair.prod.dns.targets": ("./dns/targets", {"east": "vault-east.example.com"}, "west"),
    "self_check.anchors": ("self_check/anchors", [], "neutral"),
}


def test_every_mistake_in_a_field_is_told_at_once_with_its_place_and_the_way_out(tmp_path: Path) -> None:
    said = check_text(tmp_path, good(*(put(place, value) for place, value, _ in FIELDS.values())))
    assert said.status == 2
    for path, (_, _, way_out) in FIELDS.items():
        assert way_out in said.about(path)
    assert len(said.problems) == len(FIELDS), said.raw
    assert "hvs.in-the-config" not in said.raw


def test_every_broken_rule_is_told_at_once_with_its_place_and_the_way_out(tmp_path: Path) -> None:
    said = check_text(tmp_path, good(*(put(place, value) for place, value, _ in RULES.values())))
    assert said.status == 2
    for path, (_, _, way_out) in RULES.items():
        assert way_out in said.about(path)


NO_CONFIG: Mapping[str, tuple[bytes, str]] = {
    "empty": (b"", "at least one [pair.NAME] table"),
    "cut off": (b"pair = [", "not TOML"),
    "not UTF-8": (b"state_dir = '\xff\xfe'", "save it as UTF-8"),
    "huge": (b"x" * (1 << 20) + b"x", "larger than 1 MiB"),
}


def test_a_file_that_is_no_config_is_told_in_one_line(tmp_path: Path) -> None:
    for name, (raw, _) in NO_CONFIG.items():
        (tmp_path / name).write_bytes(raw)
    expected = {tmp_path / name: told for name, (_, told) in NO_CONFIG.items()}
    expected |= {tmp_path / "missing": "a TOML file that this user can read"}
    with ThreadPoolExecutor(4) as side_by_side:
        for path, said in zip(expected, side_by_side.map(check, expected), strict=True):
            assert said.status == 2, path
            assert len(said.problems) == 1, said.raw
            assert expected[path] in said.problems[0]

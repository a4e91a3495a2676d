"""What becomes of every key of the config at a reload: applied, or refused in a sentence that names the restart."""

from __future__ import annotations

import asyncio
import copy
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import trustme
from pydantic import BaseModel

from tests.support.configs import GOOD, Change, Table, put, toml
from watchdogd.adapters.config_build import settings_of
from watchdogd.adapters.config_model import ConfigFile, TimingTable
from watchdogd.adapters.vault.transport import tls_context
from watchdogd.daemon import reloading
from watchdogd.daemon.bodies import Excused, Order
from watchdogd.daemon.protocol import Caller
from watchdogd.daemon.reloading import Loaded, Reloading, Wardrobe, changed_pairs, differences, unchangeable
from watchdogd.errors import ConfigError
from watchdogd.rehearsal.memory import DictMemory, LoopClock, MemoryJournal

REWIRES, TELLS, RESTARTS = "the pair is wired anew", "who goes by it is told", "only a restart"
ANCHOR = {"address": "dns.example.net:853", "place": "neutral"}
VAULT = {"kind": "vault", "name": "v", "path": "shared", "replication": "dr"} | {
    "nodes": ["https://10.3.0.11:8200"],
    "vault_id": "0b1f5c5e-0c3b-4d0f-9a2e-7d6d1c9f8a12",
    "tls": {"ca_file": "/etc/watchdogd/ca.pem"},
}
EXEC = {"kind": "exec", "name": "x", "path": "shared", "command": ["/usr/lib/see"]}
SYSTEMD = [{"credential": "share-1"}]


# By key: what stands there then, and what becomes of it.
CASES: dict[str, tuple[object, str]] = {
    "environment": ("lab", RESTARTS),
    "state_dir": ("/var/lib/elsewhere", RESTARTS),
    "control.socket": ("/run/elsewhere.sock", RESTARTS),
    "control.operators_group": ("vault-admins", TELLS),
    "control.signals": (["TERM"], TELLS),
    "listen.http": ("127.0.0.1:9757", RESTARTS),
    "self_check.anchors.address": ([ANCHOR], REWIRES),
    "self_check.anchors.place": ([ANCHOR | {"address": "sts.example.net:443", "place": "own"}, ANCHOR], REWIRES),
}
PAIR_CASES: dict[str, tuple[object, str]] = {
    "replication": ("performance", RESTARTS),
    "home": ("west", REWIRES),
    "replication_id": ("eef2a5ab-51e2-1c05-407c-8b4dc8d09ebe", REWIRES),
    "levels.failover": ("observe", REWIRES),
    "levels.settle_debt": ("approve", REWIRES),
    "levels.cutover_dns": ("approve", REWIRES),
    "levels.heal": ("observe", REWIRES),
    "levels.rejoin": ("observe", REWIRES),
    "levels.accept_two_primaries_on_partition": (True, REWIRES),
    "cluster.east.address": ("https://vault-east.example.com:8300", REWIRES),
    "cluster.east.nodes": (["https://10.1.0.11:8200", "https://10.1.0.12:8200"], REWIRES),
    "cluster.east.ignore": (["https://10.1.0.11:8200"], REWIRES),
    "cluster.east.vault_id": ("d2fbb13b-0830-70a3-4751-57b6b6d95d02", REWIRES),
    "cluster.east.tls.ca_file": ("/etc/watchdogd/another.pem", REWIRES),
    "cluster.east.tls.server_name": ("vault.example.com", REWIRES),
    "cluster.east.tls.min_version": ("1.3", REWIRES),
    "cluster.east.tls.verify": (False, REWIRES),
    "cluster.east.fence.command": (["/usr/lib/another", "east"], REWIRES),
    "cluster.east.fence.timeout": ("9s", REWIRES),
    "cluster.east.fence.on_failure": ("page-and-go-on", REWIRES),
    "cluster.west.fence.waived": ("SEC-124", REWIRES),
    "credentials.dr_operation_token.file": ([{"file": "/etc/watchdogd/c"}], REWIRES),
    "credentials.dr_operation_token.credential": (SYSTEMD, RESTARTS),
    "credentials.key_shares.file": ([{"file": "/etc/watchdogd/s"}], REWIRES),
    "credentials.key_shares.credential": (SYSTEMD, RESTARTS),
    "credentials.vault_token.file": ({"file": "/etc/watchdogd/t"}, REWIRES),
    "credentials.vault_token.credential": ({"credential": "token"}, RESTARTS),
    "credentials.token_ttl": ("700h", REWIRES),
    "credentials.rotate_every": ("25h", REWIRES),
    "policy.max_loss": ("61s", REWIRES),
    "policy.max_loss_wal": (1001, REWIRES),
    "policy.sealed_is_down": (True, REWIRES),
    "policy.min_unsealed": (1, REWIRES),
    "policy.two_primaries": ("propose-lowest-wal", REWIRES),
    "policy.two_secondaries": ("last-primary", REWIRES),
    "witness.vault.name": (VAULT | {"name": "w"}, REWIRES),
    "witness.vault.path": (VAULT | {"path": "independent"}, REWIRES),
    "witness.vault.nodes": (VAULT | {"nodes": ["https://10.3.0.12:8200"]}, REWIRES),
    "witness.vault.vault_id": (VAULT | {"vault_id": "0b1f5c5e-0c3b-4d0f-9a2e-7d6d1c9f8a13"}, REWIRES),
    "witness.vault.replication": (VAULT | {"replication": "performance"}, REWIRES),
    "witness.vault.tls.ca_file": (VAULT | {"tls": {"ca_file": "/etc/another.pem"}}, REWIRES),
    "witness.vault.tls.server_name": (VAULT | {"tls": {"server_name": "v.example.com"}}, REWIRES),
    "witness.vault.tls.min_version": (VAULT | {"tls": {"min_version": "1.3"}}, REWIRES),
    "witness.vault.tls.verify": (VAULT | {"tls": {"verify": False}}, REWIRES),
    "witness.exec.name": (EXEC | {"name": "y"}, REWIRES),
    "witness.exec.path": (EXEC | {"path": "independent"}, REWIRES),
    "witness.exec.command": (EXEC | {"command": ["/usr/lib/look"]}, REWIRES),
    "witness.exec.timeout": (EXEC | {"timeout": "4s"}, REWIRES),
    "dns.provider": (
        {"provider": "manual", "record": "vault.example.com", "targets": {"east": "a.example.com"}},
        REWIRES,
    ),
    "dns.record": ("vault2.example.com", REWIRES),
    "dns.ttl": ("31s", REWIRES),
    "dns.targets": ({"east": "a.example.com", "west": "vault-west.example.com"}, REWIRES),
    "dns.authoritative": (["10.9.0.3:53"], REWIRES),
    "dns.resolvers": (["10.9.0.2:53"], REWIRES),
    "dns.zone_id": ("Z0123456789ABCDEFGHIK", REWIRES),
    "dns.endpoint_url": ("http://127.0.0.1:4566", REWIRES),
}
TIMING_CASES = {f"timing.{key}": (9 if key.endswith("rounds") else "7s", REWIRES) for key in TimingTable.model_fields}
CASES |= {f"pair.{key}": case for key, case in (PAIR_CASES | TIMING_CASES).items()}
# Keys that stand for a whole table: another value means another table there.
AS_A_WHOLE = {"witness.vault": "witness/0", "witness.exec": "witness/1", "dns.provider": "dns"}


def keys_of(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """Every key of the file; the names of pairs and clusters are left out."""
    for name, field in model.model_fields.items():
        inner = [one for one in everything_in(field.annotation) if isinstance(one, type)]
        tables = [one for one in inner if issubclass(one, BaseModel)]
        for table in tables:
            yield from keys_of(table, f"{before}{name}.{kind_of(table)}")
        if not tables and name != "kind":
            yield f"{before}{name}"


def kind_of(table: type[BaseModel]) -> str:
    kind = table.model_fields.get("kind")
    return f"{get_args(kind.annotation)[0]}." if kind is not None else ""


def everything_in(annotation: object) -> Iterator[object]:
    yield annotation
    for inner in get_args(annotation):
        yield from everything_in(inner)


def loaded(*changes: Change) -> Loaded:
    table: Table = copy.deepcopy(GOOD)
    table["pair"]["prod"]["witness"] = [copy.deepcopy(VAULT), copy.deepcopy(EXEC)]
    for change in changes:
        change(table)
    return Loaded(settings=settings_of(ConfigFile.model_validate(table)), table=table, prints=defaultdict(str))


def change_of(key: str) -> Change:
    value, place = CASES[key][0], key.removeprefix("pair.")
    if place == key:
        return put("/".join(key.split(".")[:2]), value)
    whole = next((at for begin, at in AS_A_WHOLE.items() if place.startswith(begin)), "")
    secret = place.removesuffix(".file").removesuffix(".credential")
    return put(f"./{whole or secret.replace('.', '/')}", value)


def test_every_key_of_the_config_has_its_case() -> None:
    cases = {key.replace(".east", "").replace(".west", "") for key in CASES}
    assert cases == set(keys_of(ConfigFile))


@pytest.mark.parametrize("key", CASES)
def test_no_key_is_silently_ignored(key: str) -> None:
    before, after = loaded(), loaded(change_of(key))
    assert differences(before.table, after.table), "the log names it"
    refused = [*unchangeable(before.settings, after.settings)]
    becomes = CASES[key][1]
    assert bool(refused) is (becomes == RESTARTS)
    assert all("restart" in line for line in refused)
    if becomes == REWIRES:
        assert changed_pairs(before, after) == ["prod"]
    if becomes == TELLS:
        assert changed_pairs(before, after) == []
        assert before.settings != after.settings


# -- CA files ----------------------------------------------------------------------------------------------------------


def written(folder: Path) -> Path:
    config = folder / "watchdogd.toml"
    table: Any = copy.deepcopy(GOOD)
    for cluster in ("east", "west"):
        table["pair"]["prod"]["cluster"][cluster]["tls"] = {"ca_file": str(folder / f"{cluster}.pem")}
        trustme.CA().cert_pem.write_to_path(folder / f"{cluster}.pem")
    config.write_text(toml(table), encoding="utf-8")
    return config


def test_a_ca_file_that_holds_something_else_rewires_its_pair(tmp_path: Path) -> None:
    config = written(tmp_path)
    before = Loaded.of(config)
    assert changed_pairs(before, Loaded.of(config)) == []
    trustme.CA().cert_pem.write_to_path(tmp_path / "west.pem")
    assert changed_pairs(before, Loaded.of(config)) == ["prod"]


@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n"])
def test_a_ca_file_that_is_no_good_any_more_counts_as_changed_and_cannot_be_used(
    tmp_path: Path, text: str | None
) -> None:
    config = written(tmp_path)
    before = Loaded.of(config)
    (tmp_path / "west.pem").unlink()
    if text is not None:
        (tmp_path / "west.pem").write_text(text, encoding="utf-8")
    after = Loaded.of(config)
    assert changed_pairs(before, after) == ["prod"]
    options = next(tls for tls in after.settings.pairs[changed_pairs(before, after)[0]].tls.values()
                   if tls.ca_file is not None and tls.ca_file.endswith("west.pem"))  # fmt: skip
    with pytest.raises(ConfigError, match=r"west\.pem"):
        tls_context(options)


def _nothing_to_do(*_: object) -> None:
    """Nobody is told."""


async def _never(*_: object) -> None:
    raise AssertionError("nothing is wired anew")


@pytest.mark.looptime(False)
async def test_a_file_system_that_hangs_holds_up_no_reload_and_one_thread_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "READ_S_MAX", 0.05)
    pipe = tmp_path / "config"
    os.mkfifo(pipe)  # opening it hangs until somebody writes
    async with asyncio.TaskGroup() as tasks:
        doing = Reloading(
            path=str(pipe),
            loaded=loaded(),
            units={},
            wardrobe=Wardrobe(journal=MemoryJournal(), memory=DictMemory(), clock=LoopClock(), seams=None),  # type: ignore[arg-type]
            replace=_never,
            spawn=tasks.create_task,
            why_stop=str,
            check=_nothing_to_do,
            on_begin=_nothing_to_do,
            on_end=_nothing_to_do,
        )
        order = Order(verb="reload", pair="", run_id="", caller=Caller(uid=0, may_act=True), given=Excused())
        said = [str((await doing.reload(order)).body) for _ in range(2)]
        assert "could not be read within 0.05 s" in said[0]
        assert "what the last reload asked for is not read yet" in said[1]
        with pipe.open("w"):  # the one thread that reads ends by it
            assert doing._reading is not None
        await asyncio.wait({doing._reading})

"""The command line of OpenBao, unmodified, against a served lab: what an operator types is answered as a server would.

It has no verbs for replication; those are `read` and `write` of paths, as for everybody without the command line.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.live_pair import ServedWorld, served_world
from tests.support.own_venv import NotHere, program

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

PATIENCE_S = 30.0
NOT_VALID = "wrapping token is not valid or does not exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How one command ended."""

    code: int
    out: str
    err: str


@dataclass(slots=True, kw_only=True)
class Operator:
    """Somebody at a shell of the bastion, with the root token."""

    world: ServedWorld
    script: Path
    folder: Path

    @property
    def root(self) -> str:
        return self.world.file.credentials["root_token"]

    async def says(
        self, *words: str, node: int = 1, cluster: str = "east", token: str | None = None, form: str = "table"
    ) -> Said:
        """`bao WORDS`, however it ends."""
        environ = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "BAO_ADDR": self.world.file.clusters[cluster].nodes[node - 1],
            "BAO_CACERT": self.world.file.ca_file,
            "BAO_TOKEN": self.root if token is None else token,
            "BAO_FORMAT": form,
            "BAO_MAX_RETRIES": "0",
        }
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            self.script, *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environ
        )
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
        return Said(code=process.returncode or 0, out=out.decode(), err=err.decode())

    async def does(self, *words: str, **where: Any) -> str:
        """`bao WORDS`, which must succeed."""
        said = await self.says(*words, **where)
        assert said.code == 0, (words, said)
        return said.out

    async def reads(self, *words: str, **where: Any) -> Any:
        """What a command prints as JSON."""
        return json.loads(await self.does(*words, form="json", **where))

    async def data(self, *words: str, **where: Any) -> Any:
        return (await self.reads(*words, **where))["data"]

    async def fails(self, *words: str, text: str, **where: Any) -> None:
        said = await self.says(*words, **where)
        assert (said.code, text in said.err) == (2, True), (words, said)


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    try:
        script = program("openbao", "bao")
    except NotHere as exc:
        pytest.skip(str(exc))
    async with served_world(tmp_path) as world:
        yield Operator(world=world, script=script, folder=tmp_path)


async def test_what_a_cluster_is_and_who_is_in_it(operator: Operator) -> None:
    status = await operator.reads("status")
    assert (status["initialized"], status["sealed"], status["cluster_name"]) == (True, False, "east")
    peers = (await operator.data("operator", "raft", "list-peers"))["config"]["servers"]
    assert [(peer["node_id"], peer["leader"]) for peer in peers] == [
        ("east-1", True),
        ("east-2", False),
        ("east-3", False),
    ]
    members = (await operator.reads("operator", "members"))["Nodes"]
    assert [member["active_node"] for member in members] == [True, False, False]
    state = await operator.reads("operator", "raft", "autopilot", "state", node=2)
    assert (state["Healthy"], state["Leader"]) == (True, "east-1")


async def test_secrets_with_all_their_versions(operator: Operator) -> None:
    for number in "12":
        await operator.does("kv", "put", "-mount=secret", "team/x", f"n={number}")
    await operator.does("kv", "patch", "secret/team/x", "m=3")
    assert (await operator.data("kv", "get", "secret/team/x"))["data"] == {"n": "2", "m": "3"}
    assert (await operator.data("kv", "get", "-version=1", "secret/team/x"))["data"] == {"n": "1"}
    assert await operator.reads("kv", "list", "secret/team") == ["x"]
    await operator.does("kv", "delete", "secret/team/x")
    await operator.does("kv", "undelete", "-versions=3", "secret/team/x")
    await operator.does("kv", "destroy", "-versions=2", "secret/team/x")
    await operator.does("kv", "rollback", "-version=1", "secret/team/x")
    await operator.does("kv", "metadata", "put", "-custom-metadata=owner=me", "-max-versions=9", "secret/team/x")
    metadata = await operator.data("kv", "metadata", "get", "secret/team/x")
    assert (metadata["current_version"], metadata["custom_metadata"]) == (4, {"owner": "me"})
    assert [number for number, version in metadata["versions"].items() if version["destroyed"]] == ["2"]
    await operator.fails("kv", "put", "-cas=2", "secret/team/x", "n=9", text="did not match the current version")
    await operator.does("kv", "metadata", "delete", "secret/team/x")
    await operator.fails("kv", "get", "secret/team/x", text="No value found at secret/data/team/x")


async def test_secrets_of_the_first_version_and_their_upgrade(operator: Operator) -> None:
    await operator.does("kv", "put", "kv/x", "n=1")
    assert await operator.data("kv", "get", "kv/x") == {"n": "1"}
    assert await operator.reads("kv", "list", "kv") == ["x"]
    await operator.does("kv", "enable-versioning", "kv")
    assert (await operator.data("kv", "get", "kv/x"))["metadata"]["version"] == 1


async def test_engines_and_logins(operator: Operator) -> None:
    await operator.does("secrets", "enable", "-path=team/a", "-version=2", "kv")
    await operator.does("secrets", "tune", "-default-lease-ttl=1h", "team/a")
    there = await operator.reads("secrets", "list", "-detailed")
    assert (there["team/a/"]["type"], there["team/a/"]["config"]["default_lease_ttl"]) == ("kv", 3600)
    await operator.fails("secrets", "enable", "-path=team", "kv", text="path is already in use at team/a/")
    await operator.does("secrets", "disable", "team/a")
    assert "team/a/" not in await operator.reads("secrets", "list")
    await operator.does("auth", "enable", "-path=people", "userpass")
    await operator.does("auth", "tune", "-max-lease-ttl=2h", "people")
    assert set(await operator.reads("auth", "list")) == {"approle/", "people/", "token/"}
    await operator.does("auth", "disable", "people")
    assert "people/" not in await operator.reads("auth", "list")


async def test_tokens_and_policies(operator: Operator) -> None:
    text = 'path "secret/data/team/*" { capabilities = ["read", "create", "update"] }'
    file = operator.folder / "team.hcl"
    file.write_text(text, encoding="utf-8")
    await operator.does("policy", "write", "team", str(file))
    assert "team" in await operator.reads("policy", "list")
    assert (await operator.reads("policy", "read", "team"))["policy"] == text
    made = await operator.reads("token", "create", "-policy=team", "-policy=default", "-ttl=1h")
    token = made["auth"]["client_token"]
    assert (await operator.data("token", "lookup", token=token))["policies"] == ["default", "team"]
    assert "create, read, update" in await operator.does("token", "capabilities", "secret/data/team/x", token=token)
    await operator.does("kv", "put", "secret/team/x", "n=1", token=token)
    await operator.fails("kv", "delete", "secret/team/x", text="permission denied", token=token)
    await operator.fails("kv", "get", "kv/x", text="preflight capability check returned 403", token=token)
    await operator.fails("secrets", "list", text="permission denied", token=token)
    await operator.does(
        "write", "auth/token/roles/team", "allowed_policies=team", "orphan=true", "renewable=false", "token_type=batch"
    )
    made = await operator.reads("token", "create", "-role=team", "-ttl=1h")  # which says period "0s", and so on
    told = await operator.data("token", "lookup", token=made["auth"]["client_token"])
    assert (told["type"], told["orphan"]) == ("batch", True)
    await operator.does("policy", "delete", "team")
    await operator.fails("kv", "get", "secret/team/x", text="preflight capability check returned 403", token=token)


async def test_answers_that_are_wrapped_for_one_use(operator: Operator) -> None:
    await operator.does("kv", "put", "secret/x", "n=1")
    info = (await operator.reads("kv", "get", "-wrap-ttl=60s", "secret/x"))["wrap_info"]
    looked = await operator.data("write", "sys/wrapping/lookup", f"token={info['token']}", token="")
    assert (looked["creation_path"], looked["creation_ttl"]) == ("secret/data/x", 60)
    assert (await operator.data("unwrap", info["token"]))["data"] == {"n": "1"}
    await operator.fails("unwrap", info["token"], text=NOT_VALID)
    token = (await operator.reads("token", "create", "-policy=default", "-wrap-ttl=60s"))["wrap_info"]["token"]
    again = (await operator.reads("write", "sys/wrapping/rewrap", f"token={token}"))["wrap_info"]["token"]
    await operator.fails("unwrap", text=NOT_VALID, token=token)
    assert (await operator.reads("unwrap", token=again))["auth"]["policies"] == ["default"]


async def test_raft_peers_autopilot_and_snapshots(operator: Operator) -> None:
    await operator.does("operator", "raft", "autopilot", "set-config", "-max-trailing-logs=2000")
    assert (await operator.reads("operator", "raft", "autopilot", "get-config"))["max_trailing_logs"] == 2000
    await operator.does("kv", "put", "secret/x", "n=1")
    archive = operator.folder / "east.snap"
    # Of the active node: the standbys of the fork forward this, and its command line follows no redirection.
    await operator.does("operator", "raft", "snapshot", "save", str(archive))
    await operator.does("kv", "put", "secret/x", "n=2")
    await operator.does("operator", "raft", "snapshot", "restore", str(archive))
    assert (await operator.data("kv", "get", "secret/x"))["data"] == {"n": "1"}
    archive.write_bytes(archive.read_bytes()[:-40])
    await operator.fails("operator", "raft", "snapshot", "restore", str(archive), text="failed to decompress snapshot")
    await operator.does("operator", "raft", "remove-peer", "east-3")
    peers = (await operator.data("operator", "raft", "list-peers"))["config"]["servers"]
    assert [peer["node_id"] for peer in peers] == ["east-1", "east-2"]
    assert "true" in await operator.does(
        "operator", "raft", "join", operator.world.file.clusters["east"].nodes[0], node=3
    )


async def test_a_failover_by_hand(operator: Operator) -> None:
    """Of the paths that have no verb: demote, promote, and what was written before is there."""
    await operator.does("kv", "put", "secret/x", "n=1")
    token = operator.world.file.credentials["dr_token_a"]
    await operator.fails("kv", "get", "secret/x", text="path disabled in replication DR secondary mode", cluster="west")
    await operator.does("write", "-f", "sys/replication/dr/primary/demote")
    promote = ("write", "sys/replication/dr/secondary/promote", f"dr_operation_token={token}")
    await operator.does(*promote, cluster="west", token="")
    async with asyncio.timeout(PATIENCE_S):
        while (await operator.says("kv", "get", "secret/x", cluster="west")).code:
            await asyncio.sleep(0.2)
    status = await operator.data("read", "sys/replication/dr/status", cluster="west", token="")
    assert status["mode"] == "primary"
    assert (await operator.data("kv", "get", "secret/x", cluster="west"))["data"] == {"n": "1"}


async def test_tokens_are_renewed_looked_up_by_accessor_and_revoked(operator: Operator) -> None:
    auth = (await operator.reads("token", "create", "-policy=default", "-ttl=1h"))["auth"]
    assert (await operator.reads("token", "renew", "-increment=2h", auth["client_token"]))["auth"][
        "lease_duration"
    ] == 7200
    looked = await operator.data("token", "lookup", "-accessor", auth["accessor"])
    assert (looked["accessor"], looked["policies"]) == (auth["accessor"], ["default"])
    await operator.does("token", "revoke", auth["client_token"])
    await operator.fails("token", "lookup", auth["client_token"], text="bad token")

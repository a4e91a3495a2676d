"""Two empty clusters over real TLS become a pair, change sides, part, and begin anew: what a person does with curl."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from watchdogd.cli import lab as cli
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.lab_file import LabFile
from watchdogd.lab.serve import Settings
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.rehearsal.free_ports import free_port

pytestmark = pytest.mark.live

QUICK = Knobs(
    auto_unseal=False,
    election_s=0.2,
    standby_told_s=0.1,
    promote_s=0.3,
    demote_s=0.2,
    enable_s=0.2,
    disable_s=0.2,
    secondary_enable_s=0.2,
    update_primary_s=0.2,
    reconnect_s=0.1,
    merkle_diff_s=0.1,
    merkle_sync_s=0.2,
)
SOON_S = 20.0
DR = "sys/replication/dr"
ATTEMPT = f"{DR}/secondary/generate-operation-token"


@dataclass(slots=True)
class Person:
    """Somebody with curl and a list of addresses. `tokens` and `keys` are what sys/init gave, by cluster."""

    session: aiohttp.ClientSession
    file: LabFile
    tokens: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)

    async def curl(
        self, target: str, path: str, method: str = "GET", body: object = None, *, token: str = ""
    ) -> tuple[int, Any]:
        cluster, _, node = target.partition("/")
        url = f"{self.file.clusters[cluster].nodes[int(node) - 1]}/v1/{path}"
        headers = {"X-Vault-Token": self.tokens.get(token, token)} if token else {}
        async with self.session.request(method, url, json=body, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None) if reply.status != 204 else None

    async def post(self, target: str, path: str, body: object = None, *, token: str = "") -> Any:
        status, told = await self.curl(target, path, "POST", body or {}, token=token)
        assert status in (200, 204), told
        return told

    async def until(self, target: str, path: str, holds: Callable[[int, Any], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not holds(*await self.curl(target, path)):
                await asyncio.sleep(0.05)

    async def until_health(self, target: str, status: int) -> None:
        await self.until(target, "sys/health", lambda seen, _: seen == status)

    async def until_status(self, cluster: str, **wanted: object) -> None:
        def holds(status: int, told: Any) -> bool:
            return status == 200 and wanted.items() <= told["data"].items()

        await self.until(f"{cluster}/1", f"{DR}/status", holds)

    async def replication_id(self, cluster: str) -> str:
        _, told = await self.curl(f"{cluster}/1", f"{DR}/status")
        return str(told["data"]["cluster_id"])

    async def unseal(self, target: str, keys: list[str]) -> None:
        for key in keys[:3]:
            told = await self.post(target, "sys/unseal", {"key": key})
        assert told["sealed"] is False

    async def begin(self, cluster: str) -> None:
        """Keys, a root token, three unsealed nodes."""
        await self.until_health(f"{cluster}/1", 501)
        made = await self.post(f"{cluster}/1", "sys/init", {"secret_shares": 5, "secret_threshold": 3})
        self.keys[cluster], self.tokens[cluster] = made["keys_base64"], made["root_token"]
        await self.unseal(f"{cluster}/1", self.keys[cluster])
        await self.until_health(f"{cluster}/1", 200)
        for number in (2, 3):
            await self.unseal(f"{cluster}/{number}", self.keys[cluster])

    async def operate(self, cluster: str, verb: str, **body: object) -> None:
        """A verb with an operation token, made from the shares of east and XORed out of its one-time password."""
        begun = await self.post(f"{cluster}/1", f"{ATTEMPT}/attempt")
        for key in self.keys["east"][2:]:
            told = await self.post(f"{cluster}/1", f"{ATTEMPT}/update", {"key": key, "nonce": begun["nonce"]})
        raw = base64.b64decode(told["encoded_token"] + "==")
        token = bytes(a ^ b for a, b in zip(raw, begun["otp"].encode(), strict=True)).decode()
        await self.post(f"{cluster}/1", f"{DR}/secondary/{verb}", {"dr_operation_token": token, **body})

    async def activation(self, primary: str, **body: str) -> str:
        told = await self.post(f"{primary}/1", f"{DR}/primary/secondary-token", body, token="east")
        return str(told["data"]["token"] if told["data"] else told["wrap_info"]["token"])


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    spec = WorldSpec(kind="none", port=free_port(), knobs=QUICK)
    settings = Settings(spec=spec, seed=1, epoch_utc_s=1_795_315_464.0, directory=tmp_path)
    async with running(settings) as (lab, file):
        connector = aiohttp.TCPConnector(ssl=lab.authority.client_context())
        patience = aiohttp.ClientTimeout(total=SOON_S)
        async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
            yield Person(session, file)


async def become_a_pair(person: Person) -> None:
    """East with data, west wiped: it opens with the keys of east from then on, and knows its tokens."""
    await person.begin("east")
    await person.begin("west")
    await person.post("east/1", "sys/mounts/kv", {"type": "kv"}, token="east")
    await person.post("east/1", "kv/x", {"v": "1"}, token="east")
    await person.post("east/1", f"{DR}/primary/enable", token="east")
    await person.until_status("east", mode="primary", state="running")
    token = await person.activation("east", id="west-1")
    await person.post("west/1", f"{DR}/secondary/enable", {"token": token}, token="west")
    await person.until_status("west", mode="secondary", state="stream-wals", secondary_id="west-1")
    for number in (2, 3):
        await person.until_health(f"west/{number}", 503)
        await person.unseal(f"west/{number}", person.keys["east"])
        await person.until_health(f"west/{number}", 472)


@pytest.mark.timeout(90)
async def test_a_person_with_curl_walks_through_the_whole_life_of_a_pair(person: Person) -> None:
    await become_a_pair(person)
    set_id = await person.replication_id("east")
    assert await person.replication_id("west") == set_id

    await person.post("east/1", f"{DR}/primary/demote", token="east")
    await person.until_status("east", mode="secondary", state="idle")
    await person.operate("west", "promote")
    await person.until_health("west/1", 200)
    assert (await person.curl("west/1", "kv/x", token="east"))[1]["data"] == {"v": "1"}
    key = await person.post("east/1", f"{DR}/secondary/generate-public-key", token="east")
    sealed = await person.activation("west", id="east-1", secondary_public_key=key["data"]["secondary_public_key"])
    await person.operate("east", "update-primary", token=sealed)
    await person.until_status("east", state="stream-wals", connection_state="ready")

    address = (await person.curl("west/1", "sys/leader"))[1]["leader_cluster_address"]
    await person.operate("east", "update-primary", update_primary_addrs=["https://127.9.9.9:8201", address])
    await person.until_status("east", connection_state="ready", primary_cluster_addr=address)
    await person.post("west/1", f"{DR}/primary/revoke-secondary", {"id": "east-1"}, token="east")
    await person.until_status("east", connection_state="transient_failure")
    await person.operate("east", "disable")
    await person.until_status("east", mode="disabled")
    await person.post("west/1", f"{DR}/primary/disable", token="east")
    await person.until_status("west", mode="disabled")

    await person.post("west/1", f"{DR}/primary/enable", token="east")
    await person.until_status("west", mode="primary")
    assert await person.replication_id("west") != set_id
    again = await person.activation("west", id="east-2")
    await person.post("east/1", f"{DR}/secondary/enable", {"token": again}, token="east")
    await person.until_status("east", state="stream-wals", secondary_id="east-2")


async def test_an_empty_lab_says_what_it_has_and_no_more(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(Path(person.file.ca_file).parent)
    assert person.file.credentials == {}
    assert await asyncio.to_thread(cli.main, ["env", "west", "--dir", directory]) == 0
    assert await asyncio.to_thread(cli.main, ["status", "--dir", directory]) == 0
    said = capsys.readouterr().out
    assert ("VAULT_ADDR" in said, "VAULT_TOKEN" in said) == (True, False)
    assert "1:empty 2:empty 3:empty" in said


async def test_a_node_without_keys_is_told_apart_from_a_sealed_one_over_tls(person: Person) -> None:
    status, told = await person.curl("east/1", "sys/health")
    shown: Mapping[str, object] = {name: told[name] for name in ("initialized", "sealed", "replication_dr_mode")}
    assert (status, shown) == (501, {"initialized": False, "sealed": True, "replication_dr_mode": "unknown"})

"""What a person at the pair has in front of him: curl at every node, the shares and tokens he was given, the daemon."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.configs import Table, toml
from tests.support.live_daemon import DaemonProcess, started
from tests.support.live_pair import PAIR, ServedWorld, config_of
from tests.support.real_pair import CLUSTERS, Ground, nodes_of, trust_of

DR = "sys/replication/dr"
ROOT = CLUSTERS[0]  # whose root token is used: that of the first primary
SHARES, THRESHOLD = 5, 3
ANSWER_S, SOON_S, POLL_S = 10.0, 20.0, 0.1
NO_FENCE = "processes on loopback have no client network that could be closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; status 0: nothing did."""

    status: int
    body: Any = None


@dataclass(slots=True, kw_only=True)
class Stage:
    """The pair, and what is known of it so far. `keys` and `tokens` are what sys/init gave, by cluster."""

    ground: Ground
    world: ServedWorld
    session: aiohttp.ClientSession
    stack: AsyncExitStack
    keys: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    dr_token: str = ""
    actives: dict[str, str] = field(default_factory=dict)
    _daemon: DaemonProcess | None = None

    @property
    def daemon(self) -> DaemonProcess:
        if self._daemon is None:
            raise AssertionError("it was not started")
        return self._daemon

    # -- curl --------------------------------------------------------------------------------------------------------

    async def curl(
        self, target: str, path: str, method: str = "GET", body: object = None, *, token: str = ""
    ) -> Answer:
        """One request; `token` is the name of a cluster, for its root token, or a token."""
        headers = {"X-Vault-Token": self.tokens.get(token, token)} if token else {}
        url = f"{self.ground.url(target)}/v1/{path}"
        try:
            async with self.session.request(method, url, json=body, headers=headers, allow_redirects=False) as reply:
                is_json = reply.status != 204 and reply.content_type == "application/json"
                return Answer(status=reply.status, body=await reply.json() if is_json else None)
        except (aiohttp.ClientError, TimeoutError):
            return Answer(status=0)

    async def done(
        self, target: str, path: str, body: object = None, *, method: str = "POST", token: str = ROOT
    ) -> Any:
        """A request that must be answered well; what it answered."""
        answer = await self.curl(target, path, method, body, token=token)
        assert answer.status in (200, 204), f"{method} {target} {path}: {answer.status} {answer.body}"
        return answer.body

    async def get(self, target: str, path: str, *, token: str = ROOT) -> Any:
        return await self.done(target, path, method="GET", token=token)

    async def until(self, holds: Callable[[], Awaitable[object]], what: str, *, within_s: float = SOON_S) -> None:
        """Ask again and again until `holds`."""
        clock, limit_s = asyncio.get_running_loop(), within_s * self.ground.patience
        end_s = clock.time() + limit_s
        while not await holds():
            assert clock.time() < end_s, f"not within {limit_s:g} s: {what}"
            await asyncio.sleep(POLL_S)

    async def health(self, target: str) -> int:
        """The status of its health; 0: it does not answer."""
        return (await self.curl(target, "sys/health")).status

    async def until_health(self, target: str, *wanted: int) -> None:
        seen = 0

        async def holds() -> bool:
            nonlocal seen
            seen = await self.health(target)
            return seen in wanted

        try:
            await self.until(holds, f"{target} answers {wanted}")
        except AssertionError as exc:
            raise AssertionError(f"{exc}, and answers {seen}") from None

    async def unseal(self, target: str, keys_of: str) -> None:
        """With as many shares as it takes; wrong ones are refused. A node that joins opens a moment later."""
        for key in self.keys[keys_of][:THRESHOLD]:
            await self.done(target, "sys/unseal", {"key": key}, token="")

    async def active_of(self, cluster: str) -> str:
        """The node that says of itself that it is active; empty where none does."""
        for target in nodes_of(cluster):
            told = await self.curl(target, "sys/leader")
            if told.status == 200 and told.body["is_self"]:
                return target
        return ""

    async def until_active(self, cluster: str) -> str:
        async def holds() -> str:
            self.actives[cluster] = await self.active_of(cluster)
            return self.actives[cluster]

        await self.until(holds, f"{cluster} has an active node")
        return self.actives[cluster]

    async def replication(self, cluster: str) -> Mapping[str, Any]:
        """What its active node says of DR replication; empty where it says nothing."""
        target = await self.active_of(cluster)
        told = await self.curl(target, f"{DR}/status") if target else Answer(status=0)
        return told.body["data"] if told.status == 200 else {}

    async def until_replication(self, cluster: str, **wanted: object) -> Mapping[str, Any]:
        seen: Mapping[str, Any] = {}

        async def holds() -> bool:
            nonlocal seen
            seen = await self.replication(cluster)
            return wanted.items() <= seen.items()

        await self.until(holds, f"{cluster} says {wanted}")
        return seen

    # -- the daemon --------------------------------------------------------------------------------------------------

    async def write_config(self) -> None:
        """What the operator of this pair would write; every id is asked for."""
        table = config_of(self.world)
        pair: Table = table["pair"][PAIR]
        status = await self.replication("east")
        pair["replication_id"] = status.get("cluster_id") or str(uuid.uuid5(uuid.NAMESPACE_DNS, "no-replication"))
        pair["levels"]["accept_two_primaries_on_partition"] = True
        for cluster in CLUSTERS:
            nodes = [self.ground.url(target) for target in nodes_of(cluster)]
            health = await self.get(await self.until_active(cluster), "sys/health?drsecondarycode=200", token="")
            pair["cluster"][cluster] = {
                "address": self.ground.address(cluster),
                "nodes": nodes,
                "vault_id": health["cluster_id"],
                "tls": {"ca_file": self.ground.ca_file},
                "fence": {"waived": NO_FENCE},
            }
        self.world.config.write_text(toml(table), encoding="utf-8")

    async def start_daemon(self) -> None:
        """It runs until the stage is left."""
        world = self.world
        self._daemon = await self.stack.enter_async_context(started(world.config, world.socket, environ=world.environ))

    async def readings(self) -> Mapping[str, str]:
        """What the daemon read last at each node, by target, as its metrics say."""
        names = {self.ground.url(target): target for cluster in CLUSTERS for target in nodes_of(cluster)}
        try:
            async with self.session.get(f"http://{self.world.http}/metrics") as reply:
                text = await reply.text()
        except (aiohttp.ClientError, TimeoutError):
            return {}
        found: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("watchdogd_node_reading{") and line.endswith(" 1.0"):
                labels = dict(part.split("=", 1) for part in line.partition("{")[2].partition("}")[0].split(","))
                found[names[labels["node"].strip('"')]] = labels["reading"].strip('"')
        return found

    async def until_read(self, **wanted: str) -> None:
        """The daemon reads each node as wanted: `east_1="active"`."""
        targets = {name.replace("_", "/"): reading for name, reading in wanted.items()}
        seen: Mapping[str, str] = {}

        async def holds() -> bool:
            nonlocal seen
            seen = await self.readings()
            return targets.items() <= seen.items()

        try:
            await self.until(holds, f"the daemon reads {targets}")
        except AssertionError as exc:
            raise AssertionError(f"{exc}; it reads {seen}\n{self.daemon.last_words()}") from None


@asynccontextmanager
async def staged(ground: Ground, world: ServedWorld) -> AsyncIterator[Stage]:
    """A person at the pair."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S * ground.patience)
    connector = aiohttp.TCPConnector(ssl=trust_of(ground), force_close=True)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))
        yield Stage(ground=ground, world=world, session=session, stack=stack)

"""Asks a world as a person with curl would: one request, the decoded answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Exchange, Outcome, Wire
from watchdogd.lab.world import World

PROMOTE = "sys/replication/dr/secondary/promote"
DEMOTE = "sys/replication/dr/primary/demote"
UPDATE_PRIMARY = "sys/replication/dr/secondary/update-primary"
DR_STATUS = "sys/replication/dr/status"
ATTEMPT = "sys/replication/dr/secondary/generate-operation-token/attempt"
UPDATE = "sys/replication/dr/secondary/generate-operation-token/update"
AUTOPILOT = "sys/storage/raft/autopilot/state"


@dataclass(frozen=True, slots=True)
class Said:
    """What came back."""

    exchange: Exchange

    @property
    def status(self) -> int:
        assert self.exchange.outcome is Outcome.ANSWER, self.exchange.outcome
        return self.exchange.status

    @property
    def json(self) -> dict[str, object]:
        assert self.exchange.outcome is Outcome.ANSWER, self.exchange.outcome
        return json.loads(self.exchange.body)

    @property
    def data(self) -> dict[str, object]:
        return self.json["data"]

    @property
    def errors(self) -> list[str]:
        return self.json["errors"]


@dataclass(slots=True)
class Asker:
    """A world and who asks it."""

    world: World
    place: str = "bastion"

    @property
    def has(self) -> Mapping[str, str]:
        return self.world.credentials()

    @property
    def shares(self) -> list[str]:
        return [v for k, v in self.has.items() if k.startswith("share_")]

    def ask(
        self,
        target: str,
        path: str,
        method: str = "GET",
        *,
        token: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
        place: str | None = None,
    ) -> Said:
        sent = dict(headers or {}) | ({"X-Vault-Token": token} if token else {})
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        wire = Wire(
            place=place or self.place,
            target=target,
            method=method,
            path_and_query=f"/v1/{path}",
            headers=sent,
            body=raw,
        )
        said = Said(self.world.exchange(wire, now_s=self.world.now_s))
        assert self.world.crashed == []
        return said

    def post(self, target: str, path: str, body: object = None, *, token: str = "") -> Said:
        return self.ask(target, path, "POST", token=token, body=body)

    def wait(self, seconds: float) -> None:
        self.world.tick(self.world.now_s + seconds)

    def fault(
        self, kind: FaultKind, target: str, *, place: str | None = None, for_s: float | None = None, **params: object
    ) -> int:
        until_s = None if for_s is None else self.world.now_s + for_s
        return self.world.faults.add(Fault(kind=kind, target=target, place=place, until_s=until_s, params=params))

    def promote(self, cluster: str, **extra: object) -> Said:
        return self.post(f"{cluster}/1", PROMOTE, {"dr_operation_token": self.has["dr_token_a"], **extra})

    def demote(self, cluster: str) -> Said:
        return self.post(f"{cluster}/1", DEMOTE, token=self.has["dr_token_a"])

    def fail_over(self, lost: str, to: str) -> int:
        """Black out a region, promote the other cluster, wait until it serves; returns the fault's id."""
        fault_id = self.fault(FaultKind.BLACKOUT, f"region:{lost}")
        self.wait(1)
        assert self.promote(to).status == 200
        self.wait(self.world.clusters[to].knobs.promote_s + 1)
        return fault_id

    def rejoin(self, cluster: str, primary: str) -> None:
        """Demote, and follow the new primary by an activation token."""
        self.demote(cluster)
        self.wait(self.world.clusters[cluster].knobs.demote_s + 1)
        assert self.update_primary(cluster, self.activation(primary, f"{cluster}-again")).status == 200
        self.wait(10)

    def activation(self, primary: str, secondary_id: str) -> str:
        path = "sys/replication/dr/primary/secondary-token"
        said = self.post(f"{primary}/1", path, {"id": secondary_id}, token=self.has["root_token"])
        return said.json["wrap_info"]["token"]

    def update_primary(self, cluster: str, token: str, **extra: object) -> Said:
        body = {"dr_operation_token": self.has["dr_token_a"], "token": token, **extra}
        return self.post(f"{cluster}/1", UPDATE_PRIMARY, body)

    def write(self, target: str, name: str, number: int = 1) -> Said:
        """A client's write through the clients' place."""
        return self.ask(
            target,
            f"secret/data/{name}",
            "POST",
            token=self.has["client_token"],
            body={"data": {"number": number}},
            place="clients",
        )


def empty_world(*, seed: int = 1, version: str = "1.19.0", nodes: int = 3, **knobs: object) -> Asker:
    """Two clusters as installed, with a Shamir seal unless said otherwise."""
    specs = tuple(ClusterSpec(name=name, nodes=nodes, vault_version=version) for name in ("east", "west"))
    chosen = replace(Knobs(auto_unseal=False), **knobs)
    return Asker(World(WorldSpec(clusters=specs, kind="none", knobs=chosen), seed=seed))


def asker(
    *,
    seed: int = 1,
    version: str = "1.19.0",
    versions: str = "",
    clusters: str = "east west",
    kind: str = "dr",
    **knobs: object,
) -> Asker:
    """A healthy world of this version, or of these, one for each cluster, after seven seconds."""
    named = clusters.split()
    specs = tuple(
        ClusterSpec(name=name, vault_version=own)
        for name, own in zip(named, versions.split() or [version] * len(named), strict=True)
    )
    world = World(WorldSpec(clusters=specs, kind=kind, knobs=replace(Knobs(), **knobs)), seed=seed)
    world.tick(7.0)
    return Asker(world)


def shape(value: object) -> Any:
    """Keys and types, down into peers; the values are the world's."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__

"""How a world begins: keys, tokens, policies, mounts, and every further cluster streaming from the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.lab import tokens
from watchdogd.lab.approle import APPROLES, SECRETS
from watchdogd.lab.cluster import Cluster
from watchdogd.lab.mounts import AUTHS, MOUNTS
from watchdogd.lab.node import Mode
from watchdogd.lab.policies import ROOT
from watchdogd.lab.roles import Kind, Link, Role
from watchdogd.lab.seal_keys import SealKeys
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.status import wal_of
from watchdogd.lab.store import Store
from watchdogd.lab.token_role import ROLES
from watchdogd.lab.tokens import Token, TokenType
from watchdogd.lab.transcript import Transcript

DR_ROLE, LOGIN_ROLE, CLIENT_MOUNT = "watchdogd-dr", "watchdogd", "secret"

# What a failover needs, and no more (section 4.5; failure modes 6).
DR_POLICY = """
path "sys/replication/dr/secondary/promote" { capabilities = ["update"] }
path "sys/replication/dr/secondary/update-primary" { capabilities = ["update"] }
path "sys/replication/dr/primary/demote" { capabilities = ["update"] }
path "sys/storage/raft/autopilot/state" { capabilities = ["read", "update"] }
path "sys/replication/dr/secondary/generate-operation-token/*" {
  capabilities = ["create", "read", "update", "delete"]
}
"""
LOGIN_POLICY = """
path "sys/replication/dr/primary/demote" { capabilities = ["update"] }
path "sys/replication/dr/primary/secondary-token" { capabilities = ["update", "sudo"] }
path "sys/replication/dr/primary/revoke-secondary" { capabilities = ["update"] }
path "auth/token/create/watchdogd-dr" { capabilities = ["update"] }
"""
CLIENT_POLICY = 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """The clusters of a new world, and what a person would have been given at set-up."""

    clusters: Mapping[str, Cluster]
    credentials: Mapping[str, str]


def found(spec: WorldSpec, *, seed: int, now_s: float, epoch_utc_s: float, transcript: Transcript) -> Founded:
    """A healthy world: the first cluster is primary, the others stream from it, node 1 of each is active.

    Of kind `none`: empty clusters, and nothing that a person could have been given.
    """
    chance, utc_s = Seeded(seed, "setup"), epoch_utc_s + now_s
    clusters = {c.name: _cluster(spec, c.name, chance, seed, transcript) for c in spec.clusters}
    if spec.is_empty:
        for cluster in clusters.values():
            cluster.empty()
        return Founded(clusters=clusters, credentials={})
    first, *rest = clusters.values()
    keys = SealKeys.make(shares=first.knobs.seal_shares, threshold=first.knobs.seal_threshold, chance=chance)
    credentials = _fill(first, chance, now_s, utc_s)
    credentials |= {f"share_{n}": share.hex() for n, share in enumerate(keys.shares, start=1)}
    for cluster in clusters.values():
        cluster.keys = keys
        cluster.make_active(cluster.node(1), now_s, utc_s)
        cluster.step(now_s + cluster.knobs.standby_told_s, utc_s)
    _replicate(spec, first, rest, chance, now_s, utc_s)
    if Kind(spec.kind) is Kind.PERFORMANCE:
        for cluster in rest:
            credentials |= _own_tokens(cluster, now_s, utc_s)
    for cluster in clusters.values():
        for node in cluster.nodes:
            node.told, node.echo_s = cluster.modes, None if node is cluster.active else now_s
    return Founded(clusters=clusters, credentials=credentials)


def _cluster(spec: WorldSpec, name: str, chance: Seeded, seed: int, transcript: Transcript) -> Cluster:
    own = spec.cluster(name)
    knobs = own.knobs or spec.knobs
    last_wal = 0 if spec.is_empty else chance.number(100, 400)
    store = Store(name, last_wal=last_wal, log_max=knobs.shipper_entries)
    return Cluster(own, knobs, seed=seed, store=store, transcript=transcript)


def _replicate(
    spec: WorldSpec, first: Cluster, rest: list[Cluster], chance: Seeded, now_s: float, utc_s: float
) -> None:
    kind, set_id = Kind(spec.kind), chance.uuid()
    ids = {c.name: chance.uuid() for c in rest}
    known = {secondary_id: name for name, secondary_id in ids.items()}
    first.roles[kind] = Role(mode=Mode.PRIMARY, set_id=set_id, known_secondaries=known)
    for cluster in rest:
        cluster.store.replace_with(first.store, is_shared_only=kind is Kind.PERFORMANCE)
        cluster.roles[kind] = Role(mode=Mode.SECONDARY, set_id=set_id, last_reindex_utc_s=utc_s - 3600.0)
        cluster.roles[kind].link = Link(
            primary=first.name,
            secondary_id=ids[cluster.name],
            bootstrap_addr=spec.cluster_addr(f"{first.name}/1"),
            known_addrs=[
                spec.cluster_addr(n.target)
                for n in first.nodes
                if n.number == 1 or cluster.knobs.resolver_discover_servers
            ],
            position=first.store.end,
            last_remote_wal=wal_of(first.store, kind),
            reached_wal=wal_of(first.store, kind),
            alive_s=now_s,
            last_start_utc_s=utc_s - 3600.0,
            streams_since_s=now_s,
        )
        cluster.has_of[first.name] = first.store.end
        if cluster.active is not None and cluster.active.active is not None:
            cluster.active.active.connected_s, cluster.active.active.was_connected = now_s, True
            cluster.active.active.remote_wal_seen = True


def _fill(cluster: Cluster, chance: Seeded, now_s: float, utc_s: float) -> dict[str, str]:
    store, version = cluster.store, cluster.token_version

    def put(key: str, value: Mapping[str, object]) -> None:
        store.put(key, value, now_s=now_s, utc_s=utc_s)

    put(tokens.KEYRING, {"key": chance.octets(32).hex()})
    put(MOUNTS + f"{CLIENT_MOUNT}/", {"version": "2"})
    put(MOUNTS + "kv/", {"version": "1"})
    put(AUTHS + "approle/", {"type": "approle", "options": {}})
    put(tokens.POLICIES + DR_ROLE, {"policy": DR_POLICY})
    put(tokens.POLICIES + LOGIN_ROLE, {"policy": LOGIN_POLICY})
    put(tokens.POLICIES + "clients", {"policy": CLIENT_POLICY})
    role = {"allowed_policies": DR_ROLE, "orphan": True, "renewable": False, "token_type": "batch"}
    put(ROLES + DR_ROLE, role)
    role_id, secret_id = chance.uuid(), chance.uuid()
    put(APPROLES + LOGIN_ROLE, {"token_policies": [LOGIN_ROLE, DR_ROLE], "token_ttl": "1h", "role_id": role_id})
    put(f"{SECRETS}{LOGIN_ROLE}/{secret_id}", {"accessor": secret_id[::-1], "created": utc_s})
    service = TokenType.SERVICE
    root = Token(
        id=tokens.new_id(chance, version),
        type=service,
        policies=(ROOT,),
        created_utc_s=utc_s,
        display_name="root",
        path="auth/token/root",
    )
    client = Token(
        id=tokens.new_id(chance, version), type=service, policies=("clients", "default"), created_utc_s=utc_s
    )
    for token in (root, client):
        tokens.keep(store, token, now_s=now_s, utc_s=utc_s)
    prepared = [_prepared(cluster, chance, utc_s) for _ in range(2)]
    return {
        "root_token": root.id,
        "client_token": client.id,
        "role_id": role_id,
        "secret_id": secret_id,
        "dr_token_a": prepared[0].id,
        "dr_token_b": prepared[1].id,
    }


def _own_tokens(cluster: Cluster, now_s: float, utc_s: float) -> dict[str, str]:
    """What a person would have made on a performance secondary, where no token of the primary's is known (PERFDOC)."""
    root = cluster.keep_root_token(now_s=now_s, utc_s=utc_s)
    client = Token(
        id=tokens.new_id(cluster.chance, cluster.token_version),
        type=TokenType.SERVICE,
        policies=("clients", "default"),
        created_utc_s=utc_s,
    )
    tokens.keep(cluster.store, client, now_s=now_s, utc_s=utc_s)
    return {f"root_token_{cluster.name}": root.id, f"client_token_{cluster.name}": client.id}


def _prepared(cluster: Cluster, chance: Seeded, utc_s: float) -> Token:
    """A batch DR operation token as `auth/token/create/watchdogd-dr` would have made it."""
    token = Token(
        id="",
        type=TokenType.BATCH,
        policies=("default", DR_ROLE),
        created_utc_s=float(int(utc_s)),
        ttl_s=cluster.knobs.max_lease_ttl_s,
        path=f"auth/token/create/{DR_ROLE}",
        role=DR_ROLE,
    )
    return tokens.seal_batch(cluster.store, token, version=cluster.version, chance=chance)

"""From the shape of the file to the frozen values that the daemon runs on. Nothing is checked here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from watchdogd.adapters import config_model as file
from watchdogd.adapters.config_types import split_host_port
from watchdogd.adapters.dns.route53 import Route53Settings
from watchdogd.adapters.fence import FenceCommand
from watchdogd.adapters.settings import (
    CredentialRef,
    Credentials,
    ExecWitness,
    FileRef,
    NameSettings,
    PairSettings,
    SecretRef,
    Server,
    Settings,
    VaultWitness,
)
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.core.policy import (
    AnchorPolicy,
    ClusterPolicy,
    CredentialPolicy,
    Environment,
    FencePolicy,
    Level,
    Levels,
    OnFenceFailure,
    PairPolicy,
    Policy,
    Timing,
    WitnessPolicy,
)

ROUNDS_KEYS = ("down_rounds", "up_rounds")


def settings_of(config: file.ConfigFile) -> Settings:
    """The settings that `config` describes."""
    pairs = {PairId(name): _pair(PairId(name), table) for name, table in config.pair.items()}
    host, port = split_host_port(config.listen.http)
    return Settings(
        policy=Policy(
            pairs={name: pair.policy for name, pair in pairs.items()},
            environment=Environment(config.environment),
            anchors=tuple(AnchorPolicy(address=a.address, place=a.place) for a in config.self_check.anchors),
        ),
        pairs=pairs,
        state_dir=config.state_dir,
        control_socket=config.control.socket,
        operators_group=config.control.operators_group,
        signals=frozenset(config.control.signals),
        http_host=host,
        http_port=port,
    )


def timing_of(table: file.TimingTable) -> Timing:
    """The defaults, with what the file sets; `cold_start` follows `down_after` unless it is set."""
    given = table.model_dump(exclude_none=True)
    values = {key if key in ROUNDS_KEYS else f"{key}_s": value for key, value in given.items()}
    if "down_after_s" in values:
        values.setdefault("cold_start_s", values["down_after_s"])
    return Timing(**values)


def _pair(name: PairId, table: file.PairTable) -> PairSettings:
    clusters = {ClusterId(key): _cluster(ClusterId(key), cluster) for key, cluster in table.cluster.items()}
    policy = PairPolicy(
        pair=name,
        replication=Replication(table.replication),
        home=ClusterId(table.home),
        replication_id=table.replication_id,
        clusters=clusters,
        levels=_levels(table.levels),
        timing=timing_of(table.timing),
        max_loss_s=table.policy.max_loss,
        max_loss_wal=table.policy.max_loss_wal,
        sealed_is_down=table.policy.sealed_is_down,
        min_unsealed=table.policy.min_unsealed,
        two_primaries=table.policy.two_primaries,
        two_secondaries=table.policy.two_secondaries,
        witnesses=tuple(
            WitnessPolicy(
                name=witness.name,
                is_independent=witness.path == "independent",
                timeout_s=witness.timeout if isinstance(witness, file.ExecWitnessTable) else 0.0,
                vault_id=witness.vault_id if isinstance(witness, file.VaultWitnessTable) else "",
            )
            for witness in table.witness
        ),
        record=table.dns.record,
        ttl_s=int(table.dns.ttl),
        dns_targets={ClusterId(key): target for key, target in table.dns.targets.items()},
        credentials=_credential_policy(table.credentials),
    )
    return PairSettings(
        policy=policy,
        tls={ClusterId(key): _tls(cluster.tls) for key, cluster in table.cluster.items()},
        fences=dict(_fence_commands(table)),
        credentials=_credentials(table.credentials),
        witnesses=tuple(_witness(witness) for witness in table.witness),
        name=_name(table.dns),
    )


def _levels(table: file.LevelsTable) -> Levels:
    return Levels(
        failover=Level(table.failover),
        settle_debt=Level(table.settle_debt),
        cutover_dns=Level(table.cutover_dns),
        heal=Level(table.heal),
        rejoin=Level(table.rejoin),
        accept_two_primaries_on_partition=table.accept_two_primaries_on_partition,
    )


def _cluster(name: ClusterId, table: file.ClusterTable) -> ClusterPolicy:
    return ClusterPolicy(
        cluster=name,
        address=table.address,
        nodes=tuple(NodeAddress(node) for node in table.nodes),
        vault_id=table.vault_id,
        fence=_fence_policy(table.fence),
        ignore=frozenset(NodeAddress(node) for node in table.ignore),
        is_tls_verified=table.tls.verify,
    )


def _fence_policy(table: file.FenceTable | file.NoFenceTable | None) -> FencePolicy:
    match table:
        case None:
            return FencePolicy()
        case file.FenceTable():
            on_failure = OnFenceFailure(table.on_failure)
            return FencePolicy(command=tuple(table.command), timeout_s=table.timeout, on_failure=on_failure)
        case file.NoFenceTable():
            return FencePolicy(waived=table.waived)
        case _:
            assert_never(table)


def _fence_commands(table: file.PairTable) -> Iterable[tuple[ClusterId, FenceCommand]]:
    for name, cluster in table.cluster.items():
        if isinstance(cluster.fence, file.FenceTable):
            yield ClusterId(name), FenceCommand(argv=tuple(cluster.fence.command), timeout_s=cluster.fence.timeout)


def _tls(table: file.TlsTable) -> TlsOptions:
    return TlsOptions(
        ca_file=table.ca_file, server_name=table.server_name, min_version=table.min_version, verify=table.verify
    )


def _credential_policy(table: file.CredentialsTable) -> CredentialPolicy:
    return CredentialPolicy(
        dr_operation_tokens=len(table.dr_operation_token),
        key_shares=len(table.key_shares),
        token_ttl_s=table.token_ttl,
        rotate_every_s=table.rotate_every,
    )


def _credentials(table: file.CredentialsTable) -> Credentials:
    return Credentials(
        dr_operation_tokens=tuple(_secret(one) for one in table.dr_operation_token),
        key_shares=tuple(_secret(one) for one in table.key_shares),
        vault_token=_secret(table.vault_token) if table.vault_token else None,
    )


def _secret(table: file.FileSecret | file.CredentialSecret) -> SecretRef:
    match table:
        case file.FileSecret():
            return FileRef(path=table.file)
        case file.CredentialSecret():
            return CredentialRef(name=table.credential)
        case _:
            assert_never(table)


def _witness(table: file.VaultWitnessTable | file.ExecWitnessTable) -> VaultWitness | ExecWitness:
    match table:
        case file.VaultWitnessTable():
            return VaultWitness(
                name=table.name,
                nodes=tuple(NodeAddress(node) for node in table.nodes),
                vault_id=table.vault_id,
                replication=Replication(table.replication),
                tls=_tls(table.tls),
            )
        case file.ExecWitnessTable():
            return ExecWitness(name=table.name, argv=tuple(table.command), timeout_s=table.timeout)
        case _:
            assert_never(table)


def _name(table: file.Route53Table | file.ManualTable) -> NameSettings:
    return NameSettings(
        provider=table.provider,
        route53=_route53(table) if isinstance(table, file.Route53Table) else None,
        authoritative=_servers(table.authoritative),
        resolvers=_servers(table.resolvers),
    )


def _route53(table: file.Route53Table) -> Route53Settings:
    return Route53Settings(zone_id=table.zone_id, record=table.record, endpoint_url=table.endpoint_url)


def _servers(texts: list[str]) -> tuple[Server, ...]:
    pairs = (split_host_port(text) for text in texts)
    return tuple(Server(host=host, port=port) for host, port in pairs)

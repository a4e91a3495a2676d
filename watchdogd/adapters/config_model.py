"""The shape of the config file, key by key (INTERFACES section 3). Values only; rules between keys are core.rules.

Every default is here and nowhere else, except those of the timing, which are `core.policy.Timing`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from watchdogd.adapters.config_types import (
    CREDENTIAL_PATTERN,
    GROUP_PATTERN,
    PLACE_PATTERN,
    ZONE_PATTERN,
    AbsolutePath,
    Command,
    DnsName,
    Duration,
    HostName,
    HostPort,
    HttpUrl,
    Name,
    NodesNeeded,
    NodeUrl,
    PositiveDuration,
    Server,
    Text,
    Uuid,
    WholeSeconds,
    by_word,
    one_of,
    tag,
)
from watchdogd.core.commands import DEFAULT_SOCKET

LevelWord: TypeAlias = Literal["observe", "approve", "auto"]
SignalWord: TypeAlias = Literal["TERM", "HUP", "USR1", "USR2"]
ALL_SIGNALS: tuple[SignalWord, ...] = ("TERM", "HUP", "USR1", "USR2")


class Table(BaseModel):
    """A TOML table: unknown keys are refused, and nothing is converted (8 is not "8", "true" is not true)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileSecret(Table):
    """Read at every use; refused when group or world can read it."""

    file: AbsolutePath


class CredentialSecret(Table):
    """A file in $CREDENTIALS_DIRECTORY of systemd; changes only by a restart."""

    credential: Annotated[str, Field(pattern=CREDENTIAL_PATTERN)]


Secret = Annotated[
    Annotated[FileSecret, tag("file")] | Annotated[CredentialSecret, tag("credential")],
    one_of(
        {"file": "=file", "credential": "=credential"},
        '{ file = "/path" } or { credential = "name" }: the config holds references, never a secret',
    ),
]


class ControlTable(Table):
    """The local socket and the signals."""

    socket: AbsolutePath = DEFAULT_SOCKET
    operators_group: Annotated[str, Field(pattern=GROUP_PATTERN)] = "watchdogd-operators"
    signals: list[SignalWord] = Field(default_factory=lambda: list(ALL_SIGNALS))


class ListenTable(Table):
    """Where /metrics, /healthz, /readyz and the status page are served."""

    http: HostPort = "127.0.0.1:9756"


class AnchorTable(Table):
    """One address that says whether our own network works."""

    address: HostPort
    place: Annotated[str, Field(pattern=PLACE_PATTERN)]


class SelfCheckTable(Table):
    """What tells our own outage from the primary's."""

    anchors: list[AnchorTable] = Field(default_factory=list)


class LevelsTable(Table):
    """How far each action goes by itself. `failover` has no default."""

    failover: Annotated[LevelWord, Field(description='"observe", "approve" or "auto": there is no default')]
    settle_debt: LevelWord = "auto"
    cutover_dns: LevelWord = "auto"
    heal: LevelWord = "approve"
    rejoin: LevelWord = "approve"
    accept_two_primaries_on_partition: bool = False


class TlsTable(Table):
    """How the certificates of one cluster are checked."""

    ca_file: AbsolutePath | None = None
    server_name: HostName | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"
    verify: bool = True


class FenceTable(Table):
    """The command that stops client writes to a cluster; verbs check, on, off. `on_failure` has no default."""

    command: Command
    timeout: PositiveDuration = 10.0
    on_failure: Annotated[
        Literal["block", "page-and-go-on"],
        Field(
            description='"block" or "page-and-go-on": what a fence that fails does to a failover; there is no default'
        ),
    ]


class NoFenceTable(Table):
    """Says why there is no fence."""

    waived: Text


Fence = Annotated[
    Annotated[FenceTable, tag("command")] | Annotated[NoFenceTable, tag("waived")],
    one_of(
        {"command": "=command", "timeout": "=command", "on_failure": "=command", "waived": "=waived"},
        '{ command = [...], timeout = "10s", on_failure = "block" } or { waived = "why there is none" }',
    ),
]


class ClusterTable(Table):
    """One cluster: what clients use, its nodes, its id, its certificates, its fence."""

    address: Annotated[NodeUrl, Field(description="what clients use, https://HOST:PORT")]
    nodes: list[NodeUrl] = Field(default_factory=list)
    ignore: list[NodeUrl] = Field(default_factory=list)
    vault_id: Annotated[Uuid, Field(description="cluster_id of sys/health of this cluster")]
    tls: TlsTable = TlsTable()
    fence: Fence | None = None


class VaultWitnessTable(Table):
    """Another cluster that replicates from the elected one: what its active node says about it."""

    kind: Literal["vault"]
    name: Name
    path: Annotated[
        Literal["independent", "shared"],
        Field(description='"independent": it would still see a primary that is cut off from us; else "shared"'),
    ]
    nodes: Annotated[list[NodeUrl], Field(min_length=1)]
    vault_id: Annotated[Uuid, Field(description="cluster_id of sys/health of this cluster")]
    replication: Literal["dr", "performance"]
    tls: TlsTable = TlsTable()


class ExecWitnessTable(Table):
    """A command that says whether it sees a cluster."""

    kind: Literal["exec"]
    name: Name
    path: Annotated[
        Literal["independent", "shared"],
        Field(description='"independent": it would still see a primary that is cut off from us; else "shared"'),
    ]
    command: Command
    timeout: PositiveDuration = 5.0


Witness = Annotated[
    Annotated[VaultWitnessTable, tag("vault")] | Annotated[ExecWitnessTable, tag("exec")],
    by_word("kind", ("vault", "exec")),
]


class CredentialsTable(Table):
    """Where the ways in are kept: references only."""

    dr_operation_token: list[Secret] = Field(default_factory=list)
    key_shares: list[Secret] = Field(default_factory=list)
    vault_token: Secret | None = None
    token_ttl: PositiveDuration | None = None
    rotate_every: PositiveDuration | None = None


class TimingTable(Table):
    """INTERFACES section 1. What is absent keeps the default of `core.policy.Timing`."""

    interval: PositiveDuration | None = None
    probe_timeout: PositiveDuration | None = None
    down_after: PositiveDuration | None = None
    down_rounds: Annotated[int, Field(ge=2, le=10_000)] | None = None
    up_after: PositiveDuration | None = None
    up_rounds: Annotated[int, Field(ge=1, le=10_000)] | None = None
    gap_max: PositiveDuration | None = None
    heartbeat_stale_after: PositiveDuration | None = None
    stale_link_hold: PositiveDuration | None = None
    last_look_max_age: PositiveDuration | None = None
    stall_after: PositiveDuration | None = None
    clock_divergence: PositiveDuration | None = None
    cold_start: PositiveDuration | None = None
    link_down_alert: PositiveDuration | None = None
    link_down_heal: PositiveDuration | None = None
    last_known_max_age: PositiveDuration | None = None
    failure_skew: PositiveDuration | None = None
    cooldown: Duration | None = None
    credential_horizon: PositiveDuration | None = None
    credential_warn: PositiveDuration | None = None
    resume_max_age: PositiveDuration | None = None


class PolicyTable(Table):
    """What may be lost, and what to do about what nobody can decide."""

    max_loss: Duration = 60.0
    max_loss_wal: Annotated[int, Field(ge=0)] = 1000
    sealed_is_down: bool = False
    min_unsealed: NodesNeeded = "quorum"
    two_primaries: Literal["freeze", "propose-lowest-wal"] = "freeze"
    two_secondaries: Literal["alert", "last-primary"] = "alert"


class DnsTable(Table):
    """What every provider has: the service name, what it may name, and who is asked what it resolves to."""

    record: Annotated[DnsName, Field(description="the service name, like vault.example.com")]
    ttl: WholeSeconds = 30.0
    targets: Annotated[dict[Name, DnsName], Field(description="what the service name shall name, per cluster")]
    authoritative: list[Server] = Field(default_factory=list)
    resolvers: list[Server] = Field(default_factory=list)


class Route53Table(DnsTable):
    """Amazon Route 53. Credentials are those of the instance or of boto3's usual places."""

    provider: Literal["route53"]
    zone_id: Annotated[str, Field(pattern=ZONE_PATTERN, description="the id of the hosted zone")]
    endpoint_url: HttpUrl | None = None


class ManualTable(DnsTable):
    """A human changes the name; it is watched all the same."""

    provider: Literal["manual"]


Dns = Annotated[
    Annotated[Route53Table, tag("route53")] | Annotated[ManualTable, tag("manual")],
    by_word("provider", ("route53", "manual"), not_yet=("rfc2136",)),
]


class PairTable(Table):
    """Two clusters in one replication relationship, with one service name."""

    replication: Annotated[Literal["dr", "performance"], Field(description='"dr" or "performance"')]
    home: Annotated[Name, Field(description="the cluster that should serve in quiet times")]
    replication_id: Annotated[Uuid, Field(description="cluster_id of sys/replication/dr/status, the same on both")]
    levels: Annotated[LevelsTable, Field(description='a [pair.NAME.levels] table with failover = "observe" or "auto"')]
    cluster: Annotated[dict[Name, ClusterTable], Field(description="two [pair.NAME.cluster.CLUSTER] tables")]
    credentials: CredentialsTable = CredentialsTable()
    timing: TimingTable = TimingTable()
    policy: PolicyTable = PolicyTable()
    witness: list[Witness] = Field(default_factory=list)
    dns: Annotated[Dns, Field(description='a [pair.NAME.dns] table; provider = "manual" where a human moves the name')]


class ConfigFile(Table):
    """The whole file."""

    model_config = ConfigDict(title="watchdogd configuration")

    environment: Literal["production", "demo", "lab"] = "production"
    state_dir: AbsolutePath = "/var/lib/watchdogd"
    control: ControlTable = ControlTable()
    listen: ListenTable = ListenTable()
    self_check: SelfCheckTable = SelfCheckTable()
    pair: Annotated[dict[Name, PairTable], Field(min_length=1, description="at least one [pair.NAME] table")]


# The table of every tag, so that a place in the file can be followed through the unions.
TAGGED: dict[str, type[Table]] = {
    "=file": FileSecret,
    "=credential": CredentialSecret,
    "=command": FenceTable,
    "=waived": NoFenceTable,
    "=vault": VaultWitnessTable,
    "=exec": ExecWitnessTable,
    "=route53": Route53Table,
    "=manual": ManualTable,
}

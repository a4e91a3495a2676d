"""What one daemon runs on: the policy of core, and the addresses, files and names that only the shell needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from watchdogd.adapters.dns.route53 import Route53Settings
from watchdogd.adapters.fence import FenceCommand
from watchdogd.adapters.vault.transport import TlsOptions
from watchdogd.core.model import ClusterId, NodeAddress, PairId, Replication
from watchdogd.core.policy import PairPolicy, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A secret in a file, read at every use."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRef:
    """A secret in $CREDENTIALS_DIRECTORY."""

    name: str


SecretRef: TypeAlias = FileRef | CredentialRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the ways in are kept, in the order in which they are tried."""

    dr_operation_tokens: tuple[SecretRef, ...] = ()
    key_shares: tuple[SecretRef, ...] = ()
    vault_token: SecretRef | None = None

    @property
    def every_ref(self) -> tuple[SecretRef, ...]:
        """All of them."""
        token = (self.vault_token,) if self.vault_token else ()
        return (*self.dr_operation_tokens, *self.key_shares, *token)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultWitness:
    """Another cluster that replicates from the elected one."""

    name: str
    nodes: tuple[NodeAddress, ...]
    vault_id: str
    replication: Replication
    tls: TlsOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecWitness:
    """A command that says whether it sees a cluster."""

    name: str
    argv: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A name server; `host` is a name or an address without brackets."""

    host: str
    port: int = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSettings:
    """The service name: who writes it, and who is asked. `route53` is None where a human writes it.

    `authoritative` is empty for "the zone's own name servers".
    """

    provider: Literal["route53", "manual"]
    route53: Route53Settings | None
    authoritative: tuple[Server, ...]
    resolvers: tuple[Server, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettings:
    """One pair: what was decided, and what it takes to reach the world."""

    policy: PairPolicy
    tls: Mapping[ClusterId, TlsOptions]
    fences: Mapping[ClusterId, FenceCommand]  # without the waived ones
    credentials: Credentials
    witnesses: tuple[VaultWitness | ExecWitness, ...]
    name: NameSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole config file, checked. `pairs[p].policy is policy.pairs[p]`."""

    policy: Policy
    pairs: Mapping[PairId, PairSettings]
    state_dir: str
    control_socket: str
    operators_group: str
    signals: frozenset[str]  # those that are obeyed, of TERM HUP USR1 USR2
    http_host: str
    http_port: int

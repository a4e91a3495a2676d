"""What the config of every daemon says that guards a served lab, whoever wrote down the lab's addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Protocol

from watchdogd.core.policy import Timing
from watchdogd.rehearsal.toml_text import Inline

# INTERFACES section 1, column demo: nobody has to wait for a minute. Production refuses it.
DEMO = Timing(
    interval_s=1.0,
    probe_timeout_s=0.8,
    down_after_s=10.0,
    up_after_s=3.0,
    gap_max_s=3.0,
    stale_link_hold_s=10.0,
    stall_after_s=3.0,
    cold_start_s=10.0,
    cooldown_s=0.0,
)


class KnownCluster(Protocol):
    """One cluster as `lab.json` describes it. Addresses are URLs."""

    @property
    def address(self) -> str: ...
    @property
    def nodes(self) -> Sequence[str]: ...
    @property
    def dns_name(self) -> str: ...
    @property
    def vault_id(self) -> str: ...


class KnownLab(Protocol):
    """What a config needs of `lab.json`."""

    @property
    def clusters(self) -> Mapping[str, KnownCluster]: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def zone_id(self) -> str: ...
    @property
    def service_name(self) -> str: ...
    @property
    def authoritative(self) -> Sequence[str]: ...
    @property
    def route53_url(self) -> str: ...


def cluster_table(lab: KnownLab, name: str, fence: Mapping[str, object]) -> dict[str, object]:
    """`[pair.P.cluster.NAME]`."""
    cluster = lab.clusters[name]
    return {
        "address": cluster.address,
        "nodes": cluster.nodes,
        "vault_id": cluster.vault_id,
        "tls": Inline(ca_file=lab.ca_file, server_name=cluster.dns_name),
        "fence": fence,
    }


def dns_table(lab: KnownLab, clusters: Sequence[str], *, ttl_s: int, resolvers: Sequence[str]) -> dict[str, object]:
    """`[pair.P.dns]`."""
    return {
        "provider": "route53",
        "zone_id": lab.zone_id,
        "record": lab.service_name,
        "ttl": duration(ttl_s),
        "targets": Inline({name: lab.clusters[name].dns_name for name in clusters}),
        "authoritative": lab.authoritative,
        "resolvers": resolvers,
        "endpoint_url": lab.route53_url,
    }


def timing_table(timing: Timing) -> dict[str, object]:
    """`[pair.P.timing]`: what differs from the defaults."""
    usual, own = Timing(), {field.name: getattr(timing, field.name) for field in fields(Timing)}
    return {
        name.removesuffix("_s"): value if name.endswith("_rounds") else duration(float(value))
        for name, value in own.items()
        if value != getattr(usual, name)
    }


def duration(seconds: float) -> str:
    """As the config takes one, to the millisecond."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def write_secret(path: Path, secret: str) -> None:
    """One line that only its owner can read (0600), whole at every moment, also where there was one before."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{secret}\n")
    fresh.rename(path)

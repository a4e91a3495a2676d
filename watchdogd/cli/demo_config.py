"""What an operator would write down before the daemon is started: the facts of `lab.json`, and the config file.

The demo reads `lab.json` as a document, like anybody else who was handed the addresses; it imports nothing of the lab.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watchdogd.core.policy import Timing
from watchdogd.rehearsal.lab_settings import DEMO, cluster_table, dns_table, duration, timing_table, write_secret
from watchdogd.rehearsal.place import Place
from watchdogd.rehearsal.starting import aws_environment
from watchdogd.rehearsal.toml_text import toml

PAIR = "demo"
TTL_S = 5
PROMOTE_S, PROPAGATION_S = 10.0, 5.0  # knobs of the lab: the assumptions of the headline (DESIGN section 1)
FENCE_TIMEOUT_S = 2.0
WRITE_EVERY_S, WRITE_TIMEOUT_S = 0.2, 1.0  # of one client
TOKENS = ("dr_token_a", "dr_token_b")
TIMING = replace(DEMO, cooldown_s=Timing().cooldown_s)  # which changes nothing yet, and a notice says so


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """One cluster as `lab.json` describes it. Addresses are URLs."""

    name: str
    address: str
    nodes: tuple[str, ...]
    client_address: str
    dns_name: str
    vault_id: str

    @property
    def client_host(self) -> str:
        """Where clients connect to when the name points at this cluster."""
        return self.client_address.removeprefix("https://").partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFacts:
    """What the demo needs of `lab.json`."""

    clusters: Mapping[str, ClusterFacts]
    home: str
    replication_id: str
    ca_file: str
    credentials: Mapping[str, str]
    service_name: str
    service_url: str
    zone_id: str
    authoritative: tuple[str, ...]
    bastion_resolver: str
    client_resolver: str
    route53_url: str
    aws: Mapping[str, str]  # the environment of whoever asks Route 53
    control_url: str
    control_token: str

    @classmethod
    def read(cls, path: Path) -> LabFacts:
        """Raises OSError, ValueError or KeyError while the file is not there yet, or is of another version."""
        given = json.loads(path.read_text(encoding="utf-8"))
        aws = aws_environment(
            access_key_id=given["aws_access_key_id"],
            secret_access_key=given["aws_secret_access_key"],
            region=given["aws_region"],
        )
        return cls(
            clusters={name: _cluster(name, entry) for name, entry in given["clusters"].items()},
            home=given["home"],
            replication_id=given["replication_id"],
            ca_file=given["ca_file"],
            credentials=given["credentials"],
            service_name=given["service_name"],
            service_url=given["service_url"],
            zone_id=given["zone_id"],
            authoritative=tuple(given["authoritative"]),
            bastion_resolver=given["resolvers"]["bastion"],
            client_resolver=given["resolvers"]["clients"],
            route53_url=given["route53_url"],
            aws=aws,
            control_url=given["control_url"],
            control_token=given["control_token"],
        )

    @property
    def partner(self) -> str:
        """The cluster that is not home."""
        return next(name for name in self.clusters if name != self.home)


def _cluster(name: str, entry: Mapping[str, object]) -> ClusterFacts:
    nodes = entry["nodes"]
    return ClusterFacts(
        name=name,
        address=str(entry["address"]),
        nodes=tuple(map(str, nodes)) if isinstance(nodes, list) else (),
        client_address=str(entry["client_address"]),
        dns_name=str(entry["dns_name"]),
        vault_id=str(entry["vault_id"]),
    )


class Site(Place):
    """Where everything of one demo is kept; the first anchor is of our own network, the others are neutral."""

    __slots__ = ()

    @property
    def config_at_defaults(self) -> Path:
        """The same without its timing: what `watchdogd timing` is asked for comparison."""
        return self.directory / "watchdogd-default-timing.toml"


def write_config(site: Site, lab: LabFacts) -> None:
    """The config file, and the tokens that it refers to (0600)."""
    site.secret("x").parent.mkdir(mode=0o700, exist_ok=True)
    for name in TOKENS:
        write_secret(site.secret(name), lab.credentials[name])
    site.config.write_text(toml(_document(site, lab, timing_table(TIMING)), NOTES), encoding="utf-8")
    site.config_at_defaults.write_text(toml(_document(site, lab, {})), encoding="utf-8")


NOTES: Mapping[str, str] = {
    "": "The configuration of the demo. Yours looks the same: config/watchdogd.toml explains every key.",
    "environment": "Allows the short windows below, and in return only loopback addresses.",
    f"pair.{PAIR}.timing": "Short windows, so that nobody has to wait for a minute; production refuses these.",
}


def _document(site: Site, lab: LabFacts, timing: Mapping[str, object]) -> dict[str, object]:
    return {
        "environment": "demo",
        "state_dir": site.directory / "state",
        "control": {"socket": site.socket},
        "listen": {"http": site.status_page},
        "self_check": {"anchors": _anchors(site)},
        "pair": {
            PAIR: {
                "replication": "dr",
                "home": lab.home,
                "replication_id": lab.replication_id,
                "levels": {"failover": "auto"},
                "cluster": {name: cluster_table(lab, name, _fence(site, name)) for name in lab.clusters},
                "credentials": {"dr_operation_token": [{"file": site.secret(name)} for name in TOKENS]},
                "timing": timing,
                "dns": dns_table(lab, [*lab.clusters], ttl_s=TTL_S, resolvers=[lab.bastion_resolver]),
            }
        },
    }


def _anchors(site: Site) -> Sequence[Mapping[str, str]]:
    places = ["own", *["neutral"] * (len(site.anchors) - 1)]
    return [{"address": address, "place": place} for address, place in zip(site.anchors, places, strict=True)]


def _fence(site: Site, cluster: str) -> Mapping[str, object]:
    command = [*site.fence, cluster, "--dir", site.lab]
    return {"command": command, "timeout": duration(FENCE_TIMEOUT_S), "on_failure": "block"}

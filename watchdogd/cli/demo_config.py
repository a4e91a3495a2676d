"""What an operator would write down before the daemon is started: the facts of `lab.json`, and the config file.

The demo reads `lab.json` as a document, like anybody else who was handed the addresses; it imports nothing of the lab.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdogd.rehearsal.starting import aws_environment

PAIR = "demo"
TTL_S = 5
PROMOTE_S, PROPAGATION_S = 10.0, 5.0  # knobs of the lab: the assumptions of the headline (DESIGN section 1)
FENCE_TIMEOUT_S = 2.0
WRITE_EVERY_S, WRITE_TIMEOUT_S = 0.2, 1.0  # of one client
TOKENS = ("dr_token_a", "dr_token_b")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything of one demo is kept, and at which addresses the demo itself listens."""

    directory: Path
    fence: Sequence[str]  # the fence command, before the cluster is named
    anchors: Sequence[str]  # HOST:PORT; the first is our own network's, the others are neutral
    status_page: str  # HOST:PORT

    @property
    def lab_directory(self) -> Path:
        return self.directory / "lab"

    @property
    def config(self) -> Path:
        return self.directory / "watchdogd.toml"

    @property
    def config_at_defaults(self) -> Path:
        """The same without its timing: what `watchdogd timing` is asked for comparison."""
        return self.directory / "watchdogd-default-timing.toml"

    @property
    def socket(self) -> Path:
        return self.directory / "run" / "control.sock"

    def token_file(self, name: str) -> Path:
        return self.directory / "credentials" / name.replace("_", "-")

    def log(self, name: str) -> Path:
        return self.directory / "log" / name


def write_config(site: Site, lab: LabFacts) -> None:
    """The config file, and the tokens that it refers to (0600)."""
    site.token_file("x").parent.mkdir(mode=0o700, exist_ok=True)
    for name in TOKENS:
        with open(os.open(site.token_file(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(lab.credentials[name] + "\n")
    site.config.write_text(_document(site, lab, TIMING), encoding="utf-8")
    site.config_at_defaults.write_text(_document(site, lab, ""), encoding="utf-8")


TIMING = """
# Short windows, so that nobody has to wait for a minute; production refuses these.
[pair.demo.timing]
interval = "1s"
probe_timeout = "800ms"
down_after = "10s"
down_rounds = 8
up_after = "3s"
up_rounds = 3
gap_max = "3s"
heartbeat_stale_after = "15s"
stale_link_hold = "10s"
last_look_max_age = "2s"
stall_after = "3s"
clock_divergence = "2s"
"""  # INTERFACES section 1, column demo


def _document(site: Site, lab: LabFacts, timing: str) -> str:
    return f"""\
# The configuration of the demo. Yours looks the same: config/watchdogd.toml explains every key.
environment = "demo"                       # allows the short windows below, and in return only loopback addresses
state_dir = {_text(site.directory / "state")}

[control]
socket = {_text(site.socket)}

[listen]
http = {_text(site.status_page)}

[self_check]
anchors = [
{_anchors(site)}
]

[pair.{PAIR}]
replication = "dr"
home = {_text(lab.home)}
replication_id = {_text(lab.replication_id)}

[pair.{PAIR}.levels]
failover = "auto"
{"".join(_cluster_tables(site, lab))}
[pair.{PAIR}.credentials]
dr_operation_token = [
{"".join(f"  {{ file = {_text(site.token_file(name))} }},{chr(10)}" for name in TOKENS)}]
{timing}
[pair.{PAIR}.dns]
provider = "route53"
zone_id = {_text(lab.zone_id)}
record = {_text(lab.service_name)}
ttl = "{TTL_S}s"
targets = {{ {", ".join(f"{name} = {_text(cluster.dns_name)}" for name, cluster in lab.clusters.items())} }}
authoritative = {_list(lab.authoritative)}
resolvers = {_list([lab.bastion_resolver])}
endpoint_url = {_text(lab.route53_url)}
"""


def _anchors(site: Site) -> str:
    places = ["own", *["neutral"] * (len(site.anchors) - 1)]
    rows = zip(site.anchors, places, strict=True)
    return "\n".join(f'  {{ address = {_text(address)}, place = "{place}" }},' for address, place in rows)


def _cluster_tables(site: Site, lab: LabFacts) -> Sequence[str]:
    return [
        f"""
[pair.{PAIR}.cluster.{name}]
address = {_text(cluster.address)}
nodes = {_list(cluster.nodes)}
vault_id = {_text(cluster.vault_id)}
tls = {{ ca_file = {_text(lab.ca_file)}, server_name = {_text(cluster.dns_name)} }}

[pair.{PAIR}.cluster.{name}.fence]
command = {_list([*site.fence, name, "--dir", str(site.lab_directory)])}
timeout = "{FENCE_TIMEOUT_S:g}s"
on_failure = "block"
"""
        for name, cluster in lab.clusters.items()
    ]


def _text(value: object) -> str:
    """A TOML basic string: what JSON escapes, TOML escapes in the same way."""
    return json.dumps(str(value), ensure_ascii=False)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"

"""`lab.json`: everything that a client of a running lab needs, with its secrets, so readable by its owner only."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "lab.json"


class NoLab(LookupError):
    """There is no lab in this directory, or none that this can be done with; the message is one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEntry:
    """One cluster as its clients know it. Addresses are URLs; `dns_name` is what the service name points at."""

    address: str  # its load balancer, from the bastion
    nodes: tuple[str, ...]  # from the bastion
    client_address: str  # its load balancer, from the clients' place
    client_nodes: tuple[str, ...]
    dns_name: str
    vault_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFile:
    """What `lab.json` says. The servers of the zone and the resolvers are `ADDRESS:PORT`, for UDP and TCP."""

    simulator: bool
    pid: int
    seed: int
    kind: str
    port: int
    ca_file: str
    clusters: Mapping[str, ClusterEntry]
    home: str
    replication_id: str
    credentials: Mapping[str, str]
    service_name: str
    service_url: str
    ttl_s: int
    zone_id: str
    authoritative: tuple[str, ...]
    resolvers: Mapping[str, str]  # by place
    route53_url: str
    aws_region: str
    aws_access_key_id: str
    aws_secret_access_key: str
    control_url: str
    control_token: str
    events_file: str

    def write(self, directory: Path) -> Path:
        """Atomically, mode 0600 from the first byte on."""
        path, fresh = directory / NAME, directory / f".{NAME}.new"
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(self), file, indent=2)
            file.write("\n")
        fresh.rename(path)
        return path

    @classmethod
    def read(cls, directory: Path) -> LabFile:
        """Raises NoLab."""
        path = directory / NAME
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            clusters = {name: ClusterEntry(**_tuples(entry)) for name, entry in given.pop("clusters").items()}
            return cls(clusters=clusters, **_tuples(given))
        except OSError as exc:
            way_out = f"start one with `watchdogd-lab up --dir {directory}`"
            raise NoLab(f"no lab in {directory}: {exc.strerror} ({path}); {way_out}") from exc
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise NoLab(f"{path} is not a lab file of this version ({exc})") from exc


def _tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}

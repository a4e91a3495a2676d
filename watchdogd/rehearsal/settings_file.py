"""The config of a daemon that guards a served lab, as an operator would write it, from what a scenario asks for."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from watchdogd.core.policy import Timing
from watchdogd.lab.lab_file import ClusterEntry, LabFile
from watchdogd.lab.scenario import Scenario
from watchdogd.rehearsal.pair_asked import FENCE_TIMEOUT_S, SHARES, PairAsked
from watchdogd.rehearsal.site import PAIR, spoilt
from watchdogd.secret import Secret

TTL_S = 30
WRONG = "wrong"
# By the names that a scenario uses for the files of the daemon's credentials: what the lab calls them.
CREDENTIALS: Mapping[str, str] = {"a": "dr_token_a", "b": "dr_token_b", "root": "root_token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything of one play is kept, and at which addresses it listens."""

    directory: Path
    fence: Sequence[str]  # the command, before the cluster is named
    anchor: str  # HOST:PORT
    status_page: str  # HOST:PORT

    @property
    def lab(self) -> Path:
        return self.directory / "lab"

    @property
    def config(self) -> Path:
        return self.directory / "watchdogd.toml"

    @property
    def socket(self) -> Path:
        return self.directory / "run" / "control.sock"

    def log(self, name: str) -> Path:
        return self.directory / "log" / name

    def secret(self, name: str) -> Path:
        return self.directory / "credentials" / name


def write_settings(scenario: Scenario, lab: LabFile, place: Place) -> None:
    """The config file and every file that it refers to."""
    for path in (place.secret("x").parent, place.socket.parent, place.directory / "state"):
        path.mkdir(mode=0o700, exist_ok=True)
    for name in (*CREDENTIALS, *SHARES):
        write_secret(lab, place, name)
    write_secret(lab, place, WRONG, spoilt(scenario, WRONG))
    place.config.write_text(toml(settings(scenario, lab, place)), encoding="utf-8")


def write_secret(lab: LabFile, place: Place, name: str, instead: Secret | None = None) -> None:
    """One file of a credential, with what it should hold or with something else."""
    path, fresh = place.secret(name), place.secret(f".{name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as file:
        kept = lab.credentials[CREDENTIALS.get(name, name)] if instead is None else instead.reveal()
        file.write(f"{kept}\n")
    fresh.rename(path)


def settings(scenario: Scenario, lab: LabFile, place: Place) -> dict[str, object]:
    """The document."""
    asked = PairAsked.of(scenario)
    return {
        "environment": "lab",
        "state_dir": str(place.directory / "state"),
        "control": {"socket": str(place.socket)},
        "listen": {"http": place.status_page},
        "self_check": {"anchors": [{"address": place.anchor, "place": "neutral"}]},
        "pair": {
            PAIR: {
                "replication": lab.kind,
                "home": lab.home,
                "replication_id": lab.replication_id,
                "levels": _levels(asked),
                "cluster": {name: _cluster(asked, lab, name, place) for name in lab.clusters},
                "credentials": _credentials(asked, place),
                "timing": _timing(asked.timing),
                "policy": _policy(asked),
                "dns": _dns(lab),
            }
        },
    }


def _levels(asked: PairAsked) -> dict[str, object]:
    levels = asked.levels
    return {
        "failover": levels.failover.value,
        "cutover_dns": levels.cutover_dns.value,
        "settle_debt": levels.settle_debt.value,
        "accept_two_primaries_on_partition": levels.accept_two_primaries_on_partition,
    }


def _cluster(asked: PairAsked, lab: LabFile, name: str, place: Place) -> dict[str, object]:
    entry: ClusterEntry = lab.clusters[name]
    return {
        "address": entry.address,
        "nodes": [*entry.nodes],
        "vault_id": entry.vault_id,
        "tls": {"ca_file": lab.ca_file, "server_name": entry.dns_name},
        "fence": _fence(asked, [*place.fence, name]),
    }


def _fence(asked: PairAsked, command: Sequence[str]) -> dict[str, object]:
    if asked.fence_waived:
        return {"waived": asked.fence_waived}
    return {"command": command, "timeout": f"{FENCE_TIMEOUT_S:g}s", "on_failure": asked.on_failure.value}


def _credentials(asked: PairAsked, place: Place) -> dict[str, object]:
    found: dict[str, object] = {
        "dr_operation_token": [_file(place, name) for name in asked.tokens],
        "key_shares": [_file(place, name) for name in asked.shares],
    }
    if asked.has_vault_token:
        found["vault_token"] = _file(place, "root")
    return found


def _file(place: Place, name: str) -> dict[str, str]:
    return {"file": str(place.secret(name))}


def _timing(timing: Timing) -> dict[str, object]:
    usual, own = Timing(), {field.name: getattr(timing, field.name) for field in fields(Timing)}
    return {
        name.removesuffix("_s"): value if name.endswith("_rounds") else f"{round(float(str(value)) * 1000)}ms"
        for name, value in own.items()
        if value != getattr(usual, name)
    }


def _policy(asked: PairAsked) -> dict[str, object]:
    return {
        "max_loss": f"{asked.max_loss_s:g}s",
        "sealed_is_down": asked.sealed_is_down,
        "two_secondaries": asked.two_secondaries,
    }


def _dns(lab: LabFile) -> dict[str, object]:
    return {
        "provider": "route53",
        "zone_id": lab.zone_id,
        "record": lab.service_name,
        "ttl": f"{TTL_S}s",
        "targets": {name: entry.dns_name for name, entry in lab.clusters.items()},
        "authoritative": [*lab.authoritative],
        "resolvers": [],
        "endpoint_url": lab.route53_url,
    }


def toml(table: Mapping[str, object], *above: str) -> str:
    """A document with a table for every mapping that holds mappings, the others inline."""
    plain = {key: value for key, value in table.items() if not _is_deep(value)}
    deep = {key: value for key, value in table.items() if _is_deep(value)}
    head = f"\n[{'.'.join(above)}]\n" if above and plain else ""
    lines = "".join(f"{key} = {_value(value)}\n" for key, value in plain.items())
    return head + lines + "".join(toml(value, *above, key) for key, value in deep.items() if isinstance(value, dict))


def _is_deep(value: object) -> bool:
    return isinstance(value, dict) and any(isinstance(one, dict | list) for one in value.values())


def _value(value: object) -> str:
    """What JSON writes as text, number and truth is TOML too."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
        case list():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)

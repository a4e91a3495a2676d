"""The config of a daemon that guards a served lab, as an operator would write it, from what a scenario asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchdogd.lab.lab_file import LabFile
from watchdogd.lab.scenario import Scenario
from watchdogd.rehearsal.lab_settings import cluster_table, dns_table, timing_table, write_secret
from watchdogd.rehearsal.pair_asked import FENCE_TIMEOUT_S, SHARES, PairAsked
from watchdogd.rehearsal.place import Place
from watchdogd.rehearsal.site import PAIR, spoilt
from watchdogd.rehearsal.toml_text import toml
from watchdogd.secret import Secret

TTL_S = 30
WRONG = "wrong"
# By the names that a scenario uses for the files of the daemon's credentials: what the lab calls them.
CREDENTIALS: Mapping[str, str] = {"a": "dr_token_a", "b": "dr_token_b", "root": "root_token"}


def write_settings(scenario: Scenario, lab: LabFile, place: Place) -> None:
    """The config file and every file that it refers to."""
    for path in (place.secret("x").parent, place.socket.parent, place.directory / "state"):
        path.mkdir(mode=0o700, exist_ok=True)
    for name in (*CREDENTIALS, *SHARES):
        write_credential(lab, place, name)
    write_credential(lab, place, WRONG, spoilt(scenario, WRONG))
    place.config.write_text(toml(settings(scenario, lab, place)), encoding="utf-8")


def write_credential(lab: LabFile, place: Place, name: str, instead: Secret | None = None) -> None:
    """One file of a credential, with what it should hold or with something else."""
    kept = lab.credentials[CREDENTIALS.get(name, name)] if instead is None else instead.reveal()
    write_secret(place.secret(name), kept)


def settings(scenario: Scenario, lab: LabFile, place: Place) -> dict[str, object]:
    """The document."""
    asked = PairAsked.of(scenario)
    return {
        "environment": "lab",
        "state_dir": str(place.directory / "state"),
        "control": {"socket": str(place.socket)},
        "listen": {"http": place.status_page},
        "self_check": {"anchors": [{"address": anchor, "place": "neutral"} for anchor in place.anchors]},
        "pair": {
            PAIR: {
                "replication": lab.kind,
                "home": lab.home,
                "replication_id": lab.replication_id,
                "levels": _levels(asked),
                "cluster": {
                    name: cluster_table(lab, name, _fence(asked, [*place.fence, name])) for name in lab.clusters
                },
                "credentials": _credentials(asked, place),
                "timing": timing_table(asked.timing),
                "policy": _policy(asked),
                "dns": dns_table(lab, [*lab.clusters], ttl_s=TTL_S, resolvers=[]),
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


def _policy(asked: PairAsked) -> dict[str, object]:
    return {
        "max_loss": f"{asked.max_loss_s:g}s",
        "sealed_is_down": asked.sealed_is_down,
        "two_secondaries": asked.two_secondaries,
    }

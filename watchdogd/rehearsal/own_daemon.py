"""The config of an operator's own daemon that guards a served lab, and every file that it refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from watchdogd.core.policy import Timing
from watchdogd.lab.lab_file import LabFile, NoLab
from watchdogd.lab.spec import EMPTY
from watchdogd.rehearsal.free_ports import free_port, is_free
from watchdogd.rehearsal.lab_settings import DEMO, cluster_table, dns_table, duration, timing_table, write_secret
from watchdogd.rehearsal.processes import Unmet, command
from watchdogd.rehearsal.starting import must_fit
from watchdogd.rehearsal.toml_text import toml

PAIR_SIZE = 2
PAIR, HOST, PORT = "lab", "127.0.0.1", 9756  # the port of a real one: taken where that is free
FENCE_TIMEOUT_S = 5.0
TOKENS, SHARES = ("dr_token_a", "dr_token_b"), ("share_1", "share_2", "share_3")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlace:
    """Where a daemon of this lab keeps its files: `daemon`, in the directory of the lab."""

    directory: Path
    lab: Path
    state: Path  # one for each lab: a lab that is started anew begins at the beginning, with the same ids

    @classmethod
    def of(cls, lab: LabFile, directory: Path) -> OwnPlace:
        own = directory.resolve() / "daemon"
        return cls(directory=own, lab=directory.resolve(), state=own / f"state-{lab.pid}")

    @property
    def socket(self) -> Path:
        return self.directory / "control.sock"

    def secret(self, name: str) -> Path:
        return self.directory / "credentials" / name.replace("_", "-")


def own_config(lab: LabFile, directory: Path) -> str:
    """The text of a config that `watchdogd run` takes, and behind it: directories (0700) and credentials (0600).

    Raises: NoLab where there is no pair, or no path for its socket.
    """
    if lab.kind == EMPTY:
        raise NoLab(f"the clusters of this lab are empty (--kind {EMPTY}): there is no pair to guard")
    if len(lab.clusters) < PAIR_SIZE:
        raise NoLab("this lab has one cluster: there is no pair to guard (`watchdogd-lab up --clusters east,west`)")
    place = OwnPlace.of(lab, directory)
    try:
        must_fit(place.socket)
    except Unmet as exc:
        raise NoLab(f"{place.socket} is too long for a socket: take a shorter --dir") from exc
    for path in (place.directory, place.state, place.secret("x").parent):
        path.mkdir(mode=0o700, exist_ok=True)
    for name in (*TOKENS, *SHARES):
        write_secret(place.secret(name), lab.credentials[name])
    return toml(_document(lab, place), _notes(lab, place))


def _document(lab: LabFile, place: OwnPlace) -> dict[str, object]:
    names = _guarded(lab)
    is_dr = lab.kind == "dr"
    credentials = {
        "dr_operation_token": [{"file": place.secret(name)} for name in TOKENS],
        "key_shares": [{"file": place.secret(name)} for name in SHARES],
    }
    return {
        "environment": "lab",
        "state_dir": place.state,
        "control": {"socket": place.socket},
        "listen": {"http": f"{HOST}:{PORT if is_free(PORT) else free_port()}"},
        "self_check": {"anchors": _anchors(lab)},
        "pair": {
            PAIR: {
                "replication": lab.kind,
                "home": lab.home,
                "replication_id": lab.replication_id,
                "levels": {"failover": "auto" if is_dr else "observe"},
                "cluster": {name: cluster_table(lab, name, _fence(place, name)) for name in names},
                **({"credentials": credentials} if is_dr else {}),
                "timing": timing_table(replace(DEMO, cooldown_s=Timing().cooldown_s)),
                "dns": dns_table(lab, names, ttl_s=lab.ttl_s, resolvers=[lab.resolvers["bastion"]]),
            }
        },
    }


def _guarded(lab: LabFile) -> Sequence[str]:
    """A pair is two clusters: the primary of the beginning, and the first that follows it."""
    return [*lab.clusters][:PAIR_SIZE]


def _anchors(lab: LabFile) -> Sequence[Mapping[str, str]]:
    """What of the lab stays when clusters go: its control endpoint for our own network, and two of everybody's."""
    control, route53 = (urlsplit(url).netloc for url in (lab.control_url, lab.route53_url))
    return [
        {"address": control, "place": "own"},
        {"address": route53, "place": "neutral"},
        {"address": lab.authoritative[0], "place": "neutral"},
    ]


def _fence(place: OwnPlace, cluster: str) -> Mapping[str, object]:
    program = command("watchdogd-lab", "watchdogd.cli.lab", place.directory / "bin")
    return {
        "command": [program, "fence", cluster, "--dir", place.lab],
        "timeout": duration(FENCE_TIMEOUT_S),
        "on_failure": "block",
    }


def _notes(lab: LabFile, place: OwnPlace) -> Mapping[str, str]:
    pair, first, others = f"pair.{PAIR}", next(iter(lab.clusters)), [*lab.clusters][2:]
    return {
        "": f"For `watchdogd run`, against the lab in {place.lab}. SIMULATOR: nothing of anybody is touched.\n"
        f'It wants the AWS variables of the lab: eval "$(watchdogd-lab env {first} --dir {quote(str(place.lab))})"\n'
        "Make this file anew when the lab is started anew. config/watchdogd.toml explains every key.",
        "environment": "Allows the short windows below, and in return only loopback addresses of nodes.",
        "state_dir": "The journal; another one for each lab: a new one does not know what happened in this.",
        "control": f"watchdogctl --socket {quote(str(place.socket))} status",
        "listen": "The status page, for a browser; /metrics, /healthz and /readyz.",
        "self_check": "What stands for the rest of the network: the lab's own endpoint, its Route 53, a name server.",
        pair: f"The lab's others are no part of it: {', '.join(others)}." if others else "",
        f"{pair}.levels": '"observe" only says what it would do, "approve" waits for you.'
        if lab.kind == "dr"
        else "A performance pair can only be observed.",
        f"{pair}.cluster.{first}": "The load balancer, the nodes from the bastion's place, and the pin.",
        f"{pair}.cluster.{first}.fence": "Closes the client network of the region, and looks. The verb is appended.",
        f"{pair}.credentials": "Two batch DR operation tokens; and for the day when both are denied, key shares.",
        f"{pair}.timing": "The windows of the demo. What they cost in the worst case: watchdogd timing FILE",
        f"{pair}.dns": "The lab's Route 53 and its name servers.",
    }

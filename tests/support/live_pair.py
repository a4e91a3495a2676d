"""A lab on real sockets in this process, and a config as a user of it would write one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.configs import Table, toml
from tests.support.live_daemon import DaemonProcess, started
from watchdogd.lab.certs import Flaw
from watchdogd.lab.events import Event, What
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.lab_file import LabFile
from watchdogd.lab.route53 import Route53Knobs
from watchdogd.lab.serve import ServedLab, Settings
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.rehearsal.free_ports import free_port

PAIR = "prod"
ROOT = Path(__file__).parents[2]
QUICK = Knobs(promote_s=2.0, demote_s=1.0)
# As short as the rules allow where nobody's data can be lost. What decides is three heartbeats: 15 s.
TIMING: Mapping[str, object] = {
    "interval": "2s",
    "probe_timeout": "1500ms",  # many worlds share two cores
    "down_after": "9s",
    "down_rounds": 5,
    "up_after": "4s",
    "up_rounds": 2,
    "gap_max": "3s",
    "stall_after": "4s",
    "cold_start": "9s",
    "cooldown": "0s",
    "stale_link_hold": "5s",
}
READY_S_MAX = 90.0
DETECTED_S_MAX = 90.0
Change = Callable[[Table], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedWorld:
    """A world that is served, and where its daemon lives."""

    lab: ServedLab
    file: LabFile
    folder: Path
    http_port: int

    @property
    def config(self) -> Path:
        return self.folder / "watchdogd.toml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        return self.folder / "s" / "control.sock"

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def secrets(self) -> Mapping[str, str]:
        """Everything of the lab that must never be written anywhere, by its name."""
        given = self.file.credentials
        return {name: value for name, value in given.items() if len(value) >= 8}

    def write_config(self, *changes: Change) -> None:
        table = config_of(self)
        for change in changes:
            change(table)
        self.config.write_text(toml(table), encoding="utf-8")

    @asynccontextmanager
    async def daemon(self, *, environ: Mapping[str, str] | None = None) -> AsyncIterator[DaemonProcess]:
        """The daemon of this world while the block runs."""
        async with started(self.config, self.socket, environ=environ or self.environ) as daemon:
            yield daemon

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.file.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.file.aws_secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    # ------------------------------------------------------------------ the world

    def break_(self, kind: FaultKind, target: str, **params: float | str) -> int:
        return self.lab.add_fault(Fault(kind=kind, target=target, params=params))

    def lose_region(self, name: str) -> int:
        return self.break_(FaultKind.CRASH, f"region:{name}")

    async def seen(self, wanted: Callable[[Event], bool], *, timeout_s: float, after: int = 0) -> Event:
        """The first event later than `after` that is wanted; this very turn of the loop when it happens."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._next_event(wanted, timeout_s, after)
        except TimeoutError:
            raise AssertionError(f"the lab has not seen it within {timeout_s:g} s: {self.story()}") from None

    async def _next_event(self, wanted: Callable[[Event], bool], timeout_s: float, after: int) -> Event:
        while True:
            events = await self.lab.events.wait_after(after, timeout_s=timeout_s)
            if (found := next(filter(wanted, events), None)) is not None:
                return found
            after = events[-1].seq if events else after

    def events(self, what: What) -> list[Event]:
        return [event for event in self.lab.events.after(0) if event.what is what]

    def applied(self, verb: str, cluster: str | None = None) -> int:
        return sum(effect.verb == verb and cluster in (None, effect.cluster) for effect in self.lab.world.applied)

    def sent(self, path_end: str) -> list[Event]:
        return [event for event in self.events(What.SENT) if str(event.detail["path"]).endswith(path_end)]

    def story(self) -> str:
        return "\n".join(f"{event.at_s:7.2f} {event.what} {dict(event.detail)}" for event in self.lab.events.after(0))


def sent_to(path_end: str, cluster: str) -> Callable[[Event], bool]:
    """A mutation whose path ends so has reached a node of the cluster."""
    return lambda event: (
        event.what is What.SENT
        and str(event.detail["path"]).endswith(path_end)
        and str(event.detail["target"]).startswith(f"{cluster}/")
    )


def happened(what: What, **detail: object) -> Callable[[Event], bool]:
    return lambda event: event.what is what and all(event.detail.get(key) == value for key, value in detail.items())


@asynccontextmanager
async def served_world(
    folder: Path, *, knobs: Knobs = QUICK, flaws: Mapping[str, Flaw] | None = None, seed: int = 1
) -> AsyncIterator[ServedWorld]:
    """A lab that answers while the block runs, with the files that a config refers to; no daemon yet."""
    settings = Settings(
        spec=WorldSpec(port=free_port(), knobs=knobs),
        seed=seed,
        epoch_utc_s=time.time(),  # noqa: TID251  the daemon beside it reads the real clock
        directory=folder / "lab",
        ttl_s=2,
        route53=Route53Knobs(propagation_s=1.0),
        flaws=flaws or {},
    )
    async with running(settings) as (lab, file):
        world = ServedWorld(lab=lab, file=file, folder=folder, http_port=free_port())
        prepare(world)
        yield world


def prepare(world: ServedWorld) -> None:
    """What an operator lays out before the first start: secrets, a state directory, the config."""
    for name in ("dr_token_a", "dr_token_b"):
        write_secret(world.folder / name, world.file.credentials[name])
    world.state_dir.mkdir(mode=0o700, exist_ok=True)
    world.write_config()


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", encoding="utf-8")


def config_of(world: ServedWorld) -> Table:
    """What a user of the lab would write: nothing in it but addresses, names, and where the secrets are."""
    file, folder = world.file, world.folder
    home = file.home
    control, provider = urlsplit(file.control_url).netloc, urlsplit(file.route53_url).netloc
    return {
        "environment": "lab",
        "state_dir": str(world.state_dir),
        "control": {"socket": str(world.socket)},
        "listen": {"http": world.http},
        "self_check": {"anchors": [{"address": control, "place": "own"}, {"address": provider, "place": "neutral"}]},
        "pair": {
            PAIR: {
                "replication": "dr",
                "home": home,
                "replication_id": file.replication_id,
                "levels": {"failover": "auto"},
                "cluster": {
                    name: {
                        "address": entry.address,
                        "nodes": list(entry.nodes),
                        "vault_id": entry.vault_id,
                        "tls": {"ca_file": file.ca_file, "server_name": entry.dns_name},
                        "fence": {"command": fence_of(world, name), "timeout": "10s", "on_failure": "block"},
                    }
                    for name, entry in file.clusters.items()
                },
                "credentials": {
                    "dr_operation_token": [{"file": str(folder / "dr_token_a")}, {"file": str(folder / "dr_token_b")}]
                },
                "timing": dict(TIMING),
                "dns": {
                    "provider": "route53",
                    "zone_id": file.zone_id,
                    "record": file.service_name,
                    "ttl": f"{file.ttl_s}s",
                    "targets": {name: entry.dns_name for name, entry in file.clusters.items()},
                    "authoritative": list(file.authoritative),
                    "resolvers": [file.resolvers["bastion"]],
                    "endpoint_url": file.route53_url,
                },
            }
        },
    }


def fence_of(world: ServedWorld, cluster: str) -> list[str]:
    """The fence command of a cluster: a script as an operator would leave one, which closes the region and looks."""
    script = world.folder / f"fence-{cluster}"
    lab = f"{sys.executable} -m watchdogd.cli.lab fence {cluster} --dir {world.folder / 'lab'}"
    write_script(script, f'cd {ROOT} && exec {lab} "$1"')
    return [str(script)]


def write_script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o700)


# ---------------------------------------------------------------------------------------------------------- waiting


def closed_gates(explained: Mapping[str, Any]) -> set[str]:
    return {gate["gate"] for gate in explained["gates"] if not gate["open"]}


def is_ready(explained: Mapping[str, Any]) -> bool:
    """Healthy, and a failover would be held by nothing but the primary being alive."""
    return explained["situation"] == "S-10" and closed_gates(explained) <= {"window", "secondary-sees"}


async def until_ready(daemon: DaemonProcess) -> Mapping[str, Any]:
    return await daemon.until(is_ready, timeout_s=READY_S_MAX)

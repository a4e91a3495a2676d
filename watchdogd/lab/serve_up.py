"""A served lab with its directory: `lab.json` (0600), the CA's certificate, the log of events."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import IO

from watchdogd.lab.events import EventLog
from watchdogd.lab.lab_file import ClusterEntry, LabFile
from watchdogd.lab.names import ACCESS_KEY_ID, RESOLVING, SERVERS, ZONE_ID
from watchdogd.lab.serve import RESOLVER_HOST, ROUTE53_HOST, ServedLab, Settings, address, serving
from watchdogd.lab.serve_control import open_control
from watchdogd.lab.wire import Place

CA_FILE, EVENTS_FILE = "ca.pem", "events.jsonl"


class NoDirectory(OSError):
    """The lab has nowhere to write; the message is one line for a person."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[ServedLab, LabFile]]:
    """Everything listens and `lab.json` stands while the block runs; afterwards `lab.json` is gone.

    Raises (in a group): AddressInUse, and nothing of the directory was touched then; NoDirectory.
    """
    directory, events = settings.directory, EventLog()
    with ExitStack() as files:
        async with serving(settings, events) as lab, AsyncExitStack() as stack:
            events.keep_in(files.enter_context(_emptied_log(directory)))
            (directory / CA_FILE).write_bytes(lab.authority.pem)
            lab.world.ca_files.add(str(directory.resolve() / CA_FILE))  # the nodes run on this machine
            token = secrets.token_urlsafe(24)
            control_url = await open_control(lab, token, stack)
            described = describe_for_clients(lab, control_url=control_url, control_token=token)
            path = described.write(directory)
            stack.callback(path.unlink, missing_ok=True)
            yield lab, described


def _emptied_log(directory: Path) -> IO[str]:
    """The file of the events, with the directory where it is not there yet. Raises: NoDirectory."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (directory / EVENTS_FILE).open("w", encoding="utf-8")
    except OSError as exc:
        raise NoDirectory(f"cannot write to {directory}: {exc.strerror} (choose --dir)") from exc


def describe_for_clients(lab: ServedLab, *, control_url: str, control_token: str) -> LabFile:
    settings, names, world = lab.settings, lab.names, lab.world
    spec, directory = settings.spec, settings.directory.resolve()
    servers = {label: f"{address(Place.BASTION, host)}:{spec.port}" for label, host in SERVERS.items()}
    service = names.service_name.rstrip(".")
    home = spec.clusters[0].name
    return LabFile(
        simulator=True,
        pid=os.getpid(),
        seed=settings.seed,
        kind=spec.kind,
        port=spec.port,
        ca_file=str(directory / CA_FILE),
        clusters={cluster.name: _entry(lab, cluster.name) for cluster in spec.clusters},
        home=home,
        replication_id=world.clusters[home].roles[world.kind].set_id,
        credentials=dict(world.credentials()),
        service_name=service,
        service_url=f"https://{service}:{spec.port}",
        ttl_s=settings.ttl_s,
        zone_id=ZONE_ID,
        authoritative=tuple(servers.values()),
        resolvers={place.value: f"{address(place, RESOLVER_HOST)}:{spec.port}" for place in RESOLVING},
        route53_url=f"http://{address(Place.BASTION, ROUTE53_HOST)}:{spec.port}",
        aws_region="us-east-1",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key="the-simulator-verifies-no-signature",  # noqa: S106  (nothing is opened by it)
        control_url=control_url,
        control_token=control_token,
        events_file=str(directory / EVENTS_FILE),
    )


def _entry(lab: ServedLab, cluster: str) -> ClusterEntry:
    spec = lab.settings.spec
    nodes = [t for t, name in spec.targets().items() if name == cluster and not t.endswith("/lb")]
    return ClusterEntry(
        address=spec.api_addr(f"{cluster}/lb", Place.BASTION),
        nodes=tuple(spec.api_addr(node, Place.BASTION) for node in nodes),
        client_address=spec.api_addr(f"{cluster}/lb", Place.CLIENTS),
        client_nodes=tuple(spec.api_addr(node, Place.CLIENTS) for node in nodes),
        dns_name=lab.names.cluster_name(cluster).rstrip("."),
        vault_id=lab.world.clusters[cluster].vault_id,
    )

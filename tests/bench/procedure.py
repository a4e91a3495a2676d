"""Our own procedure in real time, on sockets, against a lab whose Vault takes no time at all.

The lab's DNS provider needs `PROPAGATION_S` from an accepted change to its servers: that is in both."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import boto3
import dns.message
import dns.query
import dns.rdatatype

from tests.support.live_pair import DETECTED_S_MAX, happened, sent_to, served_world, until_ready
from watchdogd.lab.events import What
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.lab_file import LabFile

AT_ONCE = Knobs(promote_s=0.0, demote_s=0.0)
PROPAGATION_S = 1.0  # of `served_world`
STATUS, PROMOTE = "sys/replication/dr/status", "sys/replication/dr/secondary/promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds from the decision, or from the first call, to each mark."""

    fenced_s: float
    promoted_s: float
    changed_s: float  # accepted by the provider
    published_s: float


async def of_daemon(folder: Path) -> Took:
    """A region is lost, and the daemon acts. Told by the lab's events, and by the daemon's line for S-30."""
    async with served_world(folder, knobs=AT_ONCE) as world, world.daemon() as daemon:
        await until_ready(daemon)
        world.lose_region("east")
        await daemon.said(lambda line: line.get("situation") == "S-30", timeout_s=DETECTED_S_MAX)
        decided_s = world.lab.now_s()
        fenced = await world.seen(happened(What.FENCED, cluster="east"), timeout_s=60.0)
        promoted = await world.seen(sent_to("dr/secondary/promote", "west"), timeout_s=60.0)
        changed = await world.seen(happened(What.NAME_CHANGED), timeout_s=60.0)
        published = await world.seen(happened(What.NAME_PUBLISHED, cluster="west"), timeout_s=60.0)
        return Took(
            fenced_s=fenced.at_s - decided_s,
            promoted_s=promoted.at_s - decided_s,
            changed_s=changed.at_s - decided_s,
            published_s=published.at_s - decided_s,
        )


async def of_five_calls(folder: Path) -> Took:
    """The same five calls with nothing else: look, promote, look, change the record, ask a server of the zone."""
    async with served_world(folder, knobs=AT_ONCE) as world:
        world.lose_region("east")
        await asyncio.sleep(1.0)
        begun_s = world.lab.now_s()
        await _promote(world.file)
        promoted_s = world.lab.now_s()
        await asyncio.to_thread(_publish, world.file)
        changed_s = world.lab.now_s()
        published = await world.seen(happened(What.NAME_PUBLISHED, cluster="west"), timeout_s=10.0)
        return Took(
            fenced_s=0.0,
            promoted_s=promoted_s - begun_s,
            changed_s=changed_s - begun_s,
            published_s=published.at_s - begun_s,
        )


async def _promote(file: LabFile) -> None:
    west = file.clusters["west"]
    tls = ssl.create_default_context(cafile=file.ca_file)
    async with aiohttp.ClientSession(raise_for_status=True) as session:

        async def call(method: str, path: str, body: object = None) -> None:
            url = f"{west.nodes[0]}/v1/{path}"
            async with session.request(method, url, json=body, ssl=tls, server_hostname=west.dns_name) as reply:
                await reply.read()

        await call("GET", STATUS)
        await call("POST", PROMOTE, {"dr_operation_token": file.credentials["dr_token_a"]})
        await call("GET", STATUS)


def _publish(file: LabFile) -> None:
    client = boto3.session.Session(
        aws_access_key_id=file.aws_access_key_id, aws_secret_access_key=file.aws_secret_access_key
    ).client("route53", region_name=file.aws_region, endpoint_url=file.route53_url)
    record = {
        "Name": file.service_name,
        "Type": "CNAME",
        "TTL": file.ttl_s,
        "ResourceRecords": [{"Value": file.clusters["west"].dns_name}],
    }
    client.change_resource_record_sets(
        HostedZoneId=file.zone_id, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
    )
    address, _, port = file.authoritative[0].rpartition(":")
    dns.query.udp(dns.message.make_query(file.service_name, dns.rdatatype.CNAME), address, port=int(port), timeout=2.0)
    client.close()

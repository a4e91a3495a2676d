"""The API of Route 53 in front of a real BIND: what boto3 changes, any resolver then sees.

A batch becomes one dynamic update, atomic as the batch is; a DELETE also becomes a prerequisite, so that BIND itself is
who compares before it swaps. The TTL is no part of a prerequisite (RFC 2136 2.4): it is looked at before.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dns.rcode
import dns.update

from tests.support.bind import HOST, Bind
from watchdogd.lab import route53_xml as xml
from watchdogd.lab.route53_xml import Action, Change, ChangeBatch
from watchdogd.lab.serve_http import Arrived, HttpFront
from watchdogd.lab.serve_socket import Door
from watchdogd.lab.wire import Exchange, Outcome
from watchdogd.lab.zone import RecordSet, RecordType, fqdn
from watchdogd.rehearsal.free_ports import free_port

STALE = {dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.YXDOMAIN, dns.rcode.NXDOMAIN}


@dataclass(slots=True, kw_only=True)
class Bridge:
    """One hosted zone. `name` is the one record that is listed; `changes` what was accepted, by id."""

    bind: Bind
    zone_id: str
    name: str
    url: str = ""
    changes: dict[str, ChangeBatch] = field(default_factory=dict)

    async def answer(self, arrived: Arrived) -> Exchange:
        """One request of an AWS client."""
        path = arrived.path_and_query.partition("?")[0]
        if arrived.method == "POST" and path.rstrip("/").endswith(f"/hostedzone/{self.zone_id}/rrset"):
            return await self._change(xml.parse_change_batch(arrived.body))
        if arrived.method == "GET" and path.rstrip("/").endswith(f"/hostedzone/{self.zone_id}/rrset"):
            return await self._list()
        if asked := re.fullmatch(r"/2013-04-01/change/(\w+)", path):
            return await self._get_change(asked[1])
        return _refused("NoSuchHostedZone", f"the bridge does not answer {arrived.method} {path}", status=404)

    async def held(self) -> RecordSet | None:
        """The record as BIND has it."""
        found = await self.bind.cname(self.name)
        return found and RecordSet(name=fqdn(self.name), rtype=RecordType.CNAME, ttl_s=found[1], values=(found[0],))

    async def _list(self) -> Exchange:
        held = await self.held()
        return _said(xml.record_sets_body(page=[held] if held else [], next_record=None, items_max=100))

    async def _change(self, batch: ChangeBatch) -> Exchange:
        update = dns.update.UpdateMessage(self.bind.zone)
        held = await self.held()
        for change in batch.changes:
            if change.action is Action.DELETE and (held is None or held.ttl_s != change.record.ttl_s):
                return _refused("InvalidChangeBatch", "[the values provided do not match the current values]")
            _add(update, change, batch)
        rcode = await self.bind.send(update)
        if rcode in STALE:
            return _refused("InvalidChangeBatch", f"[the values provided do not match: {dns.rcode.to_text(rcode)}]")
        if rcode != dns.rcode.NOERROR:
            return _refused("AccessDenied", dns.rcode.to_text(rcode), status=403)
        change_id = "C" + uuid.uuid4().hex[:19].upper()
        self.changes[change_id] = batch
        return self._info("ChangeResourceRecordSetsResponse", change_id, "PENDING")

    async def _get_change(self, change_id: str) -> Exchange:
        """INSYNC once BIND answers with what was wanted."""
        if (batch := self.changes.get(change_id)) is None:
            return _refused("NoSuchChange", f"Could not find resource with ID: {change_id}", status=404)
        held, wanted = await self.held(), batch.changes[-1].record
        done = held is not None and [fqdn(v) for v in held.values] == [fqdn(v) for v in wanted.values]
        return self._info("GetChangeResponse", change_id, "INSYNC" if done else "PENDING")

    def _info(self, root: str, change_id: str, status: str) -> Exchange:
        now = datetime.fromtimestamp(0, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        comment = self.changes[change_id].comment
        return _said(
            xml.change_body(root_tag=root, change_id=change_id, status=status, submitted_at=now, comment=comment)
        )


def _add(update: dns.update.UpdateMessage, change: Change, batch: ChangeBatch) -> None:
    """One change, with what must hold before it (RFC 2136 2.4)."""
    name, rtype, record = change.record.name, change.record.rtype.value, change.record
    targets = [fqdn(value) for value in record.values]
    if change.action is Action.DELETE:
        update.present(name, rtype, *targets)
        update.delete(name, rtype)
        return
    deleted = any(c.action is Action.DELETE and c.record.key == record.key for c in batch.changes)
    if change.action is Action.CREATE and not deleted:
        update.absent(name)
    update.replace(name, record.ttl_s, rtype, *targets)


def _said(body: bytes, status: int = 200) -> Exchange:
    headers: Mapping[str, str] = {"Content-Type": "text/xml"}
    return Exchange(outcome=Outcome.ANSWER, status=status, headers=headers, body=body)


def _refused(code: str, message: str, *, status: int = 400) -> Exchange:
    return _said(xml.error_body(code=code, message=message, request_id="bridge", fault="Sender"), status)


@asynccontextmanager
async def bridged(bind: Bind, *, zone_id: str, name: str) -> AsyncIterator[Bridge]:
    """The bridge on a loopback port while the block runs."""
    port = free_port()
    bridge = Bridge(bind=bind, zone_id=zone_id, name=name, url=f"http://{HOST}:{port}")
    async with asyncio.TaskGroup() as tasks:
        front = HttpFront(HOST, port, bridge.answer, tasks=tasks)
        front.set_door(Door.OPEN)
        try:
            yield bridge
        finally:
            await front.close()

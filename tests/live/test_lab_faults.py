"""Faults that are about sockets: certificates that change while the lab runs, and name servers that fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from tests.live.test_lab_serving import EPOCH_UTC_S, PATIENT
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.serve import ServedLab, Settings
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.rehearsal.free_ports import free_port

pytestmark = pytest.mark.live

FLAWS = {
    "expired": "has expired",
    "unknown-authority": "unable to get local issuer",
    "wrong-name": "IP address mismatch",
}


async def test_certificates_and_name_servers_go_bad_and_get_well_again_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(spec=WorldSpec(port=port), seed=1, epoch_utc_s=EPOCH_UTC_S, directory=tmp_path)
    async with running(settings) as (lab, file):
        url = f"{file.clusters['east'].nodes[0]}/v1/sys/health"
        context = lab.authority.client_context()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=PATIENT) as session:
            for flaw, said in FLAWS.items():
                await goes_bad_and_gets_well(lab, session, url, flaw, said)
        assert await asked(port) is dns.rcode.NOERROR
        lab.add_fault(Fault(kind=FaultKind.DNS_SERVFAIL, target="dns:ns1"))
        assert await asked(port) is dns.rcode.SERVFAIL


async def goes_bad_and_gets_well(
    lab: ServedLab, session: aiohttp.ClientSession, url: str, flaw: str, said: str
) -> None:
    assert await status(session, url) == 200
    fault_id = lab.add_fault(Fault(kind=FaultKind.CERTIFICATE, target="node:east/1", params={"flaw": flaw}))
    with pytest.raises(aiohttp.ClientConnectorCertificateError, match=said):
        await status(session, url)
    assert await status(session, url, ssl=False) == 200  # as with curl -k
    lab.clear_faults(fault_id)


async def status(session: aiohttp.ClientSession, url: str, *, ssl: bool = True) -> int:
    async with session.get(url, ssl=ssl) as reply:
        return reply.status


async def asked(port: int) -> dns.rcode.Rcode:
    """What one authoritative server says of the service name."""
    query = dns.message.make_query("vault.example.test.", "CNAME")
    async with asyncio.timeout(5):
        return (await dns.asyncquery.udp(query, "127.1.0.11", port=port)).rcode()

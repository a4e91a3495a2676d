"""BIND as the authoritative server of one zone on a loopback port, without privileges; changed by signed updates."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from tests.support.own_venv import NotHere, stop
from watchdogd.rehearsal.free_ports import free_port

HOST, KEY, NOBODY = "127.0.0.1", "watchdogd-test", 65534
START_S, ANSWER_S, POLL_S = 30.0, 15.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A running `named` and the key that may change its zone."""

    zone: dns.name.Name
    port: int
    keyring: dict[dns.name.Name, dns.tsig.Key]

    @property
    def server(self) -> str:
        return f"{HOST}:{self.port}"

    async def cname(self, name: str) -> tuple[str, int] | None:
        """Target and TTL of a name as BIND itself says it; None where there is none. Raises DNSException, OSError."""
        query = dns.message.make_query(name, dns.rdatatype.CNAME)
        reply = await dns.asyncquery.tcp(query, HOST, port=self.port, timeout=ANSWER_S)
        found = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.CNAME]
        return (found[0][0].target.to_text(), found[0].ttl) if found else None

    async def send(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        """One signed update; what BIND says to it."""
        update.use_tsig(self.keyring)
        return (await dns.asyncquery.tcp(update, HOST, port=self.port, timeout=ANSWER_S)).rcode()


@asynccontextmanager
async def running(program: str, zone: str, *records: str) -> AsyncIterator[Bind]:
    """`named` with `zone` and its `records` (lines of a zone file) while the block runs. Raises NotHere."""
    secret, port = base64.b64encode(secrets.token_bytes(32)).decode(), free_port()
    keyring = dns.tsigkeyring.from_text({KEY: (dns.tsig.HMAC_SHA256, secret)})
    bind = Bind(zone=dns.name.from_text(zone), port=port, keyring=keyring)
    with tempfile.TemporaryDirectory(prefix="named-") as place:
        folder = Path(place)
        _write(folder, zone, port, secret, records)
        process = _started(program, folder)
        try:
            await _until_it_answers(bind, process, folder / "log")
            yield bind
        finally:
            stop(process)


def _started(program: str, folder: Path) -> subprocess.Popen[bytes]:
    nobody = NOBODY if os.geteuid() == 0 else None
    groups: list[int] | None = [] if os.geteuid() == 0 else None
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [program, "-g", "-c", str(folder / "named.conf")],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=nobody,
            group=nobody,
            extra_groups=groups,
        )


def _write(folder: Path, zone: str, port: int, secret: str, records: tuple[str, ...]) -> None:
    (folder / "zone").write_text(
        f"$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 root 1 3600 600 86400 60\n@ NS ns1\nns1 A {HOST}\n"
        + "".join(f"{record}\n" for record in records),
        encoding="ascii",
    )
    (folder / "named.conf").write_text(
        f"""
key "{KEY}" {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{
  directory "{folder}"; pid-file none; session-keyfile none; lock-file none; managed-keys-directory "{folder}";
  listen-on port {port} {{ {HOST}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; allow-transfer {{ none; }};
}};
controls {{ }};
zone "{zone}" {{ type primary; file "zone"; update-policy {{ grant "{KEY}" zonesub CNAME; }}; }};
""",
        encoding="ascii",
    )
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)


async def _until_it_answers(bind: Bind, process: subprocess.Popen[bytes], log: Path) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.poll() is None and not await _answers(bind):
                await asyncio.sleep(POLL_S)
    if not await _answers(bind):
        raise NotHere(f"named does not answer: {_end_of(log)}")


async def _answers(bind: Bind) -> bool:
    try:
        await bind.cname(bind.zone.to_text())
    except (dns.exception.DNSException, OSError):
        return False
    return True


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-500:]

"""A client as applications are: a process that writes numbered secrets through the service name, and writes down which
of them were acknowledged.

It keeps its connection alive, asks the resolver of its place and believes it for the time to live, waits for nothing
and never repeats a number. Its log is one JSON object a line; what it calls acknowledged must exist afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO

import aiohttp
import dns.asyncquery
import dns.exception
import dns.message
import dns.rdatatype
from aiohttp.abc import AbstractResolver, ResolveResult

from watchdogd.lab.lab_file import LabFile, NoLab

MOUNT = "secret"
RESOLVE_TIMEOUT_S = 1.0


class Fate(StrEnum):
    """What became of one write, as far as its client can tell."""

    ACKNOWLEDGED = "acknowledged"  # Vault said 2xx
    REFUSED = "refused"  # Vault, or what stands before it, said anything else
    UNKNOWN = "unknown"  # no answer: it may have been applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log."""

    at_utc_s: float
    number: int
    fate: Fate
    status: int | None
    address: str | None
    error: str | None

    def as_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def read_log(path: Path) -> Iterator[Line]:
    """Every whole line of a log; a last line that is being written is left out."""
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if text.endswith("\n"):
            given = json.loads(text)
            yield Line(**{**given, "fate": Fate(given["fate"])})


def secret_path(client: str, number: int) -> str:
    """Where a client keeps a number, below the address of a cluster."""
    return f"/v1/{MOUNT}/data/clients/{client}/{number}"


class PlaceResolver(AbstractResolver):
    """Asks one resolver over UDP and believes its answer for its time to live."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.partition(":")
        self._port = int(port)
        self._held: dict[str, tuple[str, float]] = {}
        self.latest: str | None = None  # where the newest connection went

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError when nobody answers or there is no address."""
        loop = asyncio.get_running_loop()
        address, until_s = self._held.get(host, ("", 0.0))
        if until_s <= loop.time():
            address, ttl_s = await self._ask(host)
            self._held[host] = (address, loop.time() + ttl_s)
        self.latest = address
        result = ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
        return [result]

    async def close(self) -> None:
        self._held.clear()

    async def _ask(self, host: str) -> tuple[str, float]:
        query = dns.message.make_query(host, dns.rdatatype.A)
        try:
            reply = await dns.asyncquery.udp(query, self._host, timeout=RESOLVE_TIMEOUT_S, port=self._port)
        except dns.exception.DNSException as exc:
            raise OSError(f"{host}: the resolver does not answer ({type(exc).__name__})") from exc
        addresses = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A]
        if not addresses:
            raise OSError(f"{host}: no address")
        return addresses[-1][0].to_text(), float(min(rrset.ttl for rrset in reply.answer))


class Writer:
    """Writes one number after the other, each once, and a line about each. `written`: the last number of the log."""

    def __init__(self, lab: LabFile, *, client: str, log: IO[str], timeout_s: float, written: int) -> None:
        self._lab, self._client, self._log = lab, client, log
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._resolver = PlaceResolver(lab.resolvers["clients"])
        self._tls = ssl.create_default_context(cafile=lab.ca_file)
        self._headers = {"X-Vault-Token": lab.credentials["client_token"]}
        self._number = written
        self._due_s = 0.0

    async def run(self, *, every_s: float) -> None:
        """Until cancelled. An application that is told no, or nothing, looks for a server again: a new connection."""
        while True:
            connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False, ssl=self._tls, limit=1)
            async with aiohttp.ClientSession(
                self._lab.service_url, connector=connector, headers=self._headers, timeout=self._timeout
            ) as session:
                while await self._write_next(session, every_s) is Fate.ACKNOWLEDGED:
                    pass

    async def _write_next(self, session: aiohttp.ClientSession, every_s: float) -> Fate:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._due_s - loop.time()))
        self._due_s = loop.time() + every_s
        self._number += 1
        line = await self._write(session, self._number)
        self._log.write(line.as_json() + "\n")
        self._log.flush()
        return line.fate

    async def _write(self, session: aiohttp.ClientSession, number: int) -> Line:
        body = {"data": {"number": number, "client": self._client}}
        try:
            async with session.post(secret_path(self._client, number), json=body) as reply:
                await reply.read()
                return self._line(number, Fate.ACKNOWLEDGED if reply.ok else Fate.REFUSED, status=reply.status)
        except aiohttp.ClientConnectorError as exc:
            return self._line(number, Fate.REFUSED, error=exc)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return self._line(number, Fate.UNKNOWN, error=exc)

    def _line(self, number: int, fate: Fate, *, status: int | None = None, error: BaseException | None = None) -> Line:
        now = datetime.now(UTC)  # noqa: TID251  (a process of its own, whose log is compared with others by wall clock)
        return Line(
            at_utc_s=round(now.timestamp(), 3),
            number=number,
            fate=fate,
            status=status,
            address=self._resolver.latest,
            error=None if error is None else f"{type(error).__name__}: {error}",
        )


async def missing(lab: LabFile, log: Path, *, client: str, address: str) -> tuple[int, list[int]]:
    """How many writes were acknowledged, and which of them a reader does not find at `address` (a URL).

    Raises aiohttp.ClientError when the cluster cannot say.
    """
    numbers = [line.number for line in read_log(log) if line.fate is Fate.ACKNOWLEDGED]
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=lab.ca_file))
    headers = {"X-Vault-Token": lab.credentials["client_token"]}
    async with aiohttp.ClientSession(address, connector=connector, headers=headers) as session:
        gone = [number for number in numbers if not await _exists(session, secret_path(client, number))]
    return len(numbers), gone


async def _exists(session: aiohttp.ClientSession, path: str) -> bool:
    async with session.get(path) as reply:
        if reply.status == 404:
            return False
        reply.raise_for_status()
        return True


async def _until_terminated(writer: Writer, every_s: float) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, task.cancel if task is not None else sys.exit)
    try:
        await writer.run(every_s=every_s)
    except asyncio.CancelledError:
        return  # asked to stop; the line of every finished write is on disk


def main(argv: Sequence[str] | None = None) -> int:
    """Write until SIGTERM. Exit status 0; 2 where there is no lab to write to."""
    parser = argparse.ArgumentParser(
        description="A client of the simulator: writes numbered secrets by the service name."
    )
    parser.add_argument("--dir", type=Path, required=True, help="directory of the running lab")
    parser.add_argument("--log", type=Path, required=True, help="where each write gets its line")
    parser.add_argument("--name", default="writer", help="what its secrets are kept under")
    parser.add_argument("--every", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="SECONDS")
    given = parser.parse_args(argv)
    try:
        lab = LabFile.read(given.dir)
    except NoLab as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    with given.log.open("a", encoding="utf-8") as log:
        written = max((line.number for line in read_log(given.log)), default=0)
        writer = Writer(lab, client=given.name, log=log, timeout_s=given.timeout, written=written)
        asyncio.run(_until_terminated(writer, given.every))
    return 0


if __name__ == "__main__":
    sys.exit(main())

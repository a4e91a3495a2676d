"""One probe round of one node: three requests, one hard time-out, and whatever answered in time.

The three go one after the other over one connection, so that a mutation may later go out over the very connection
on which ids and mode were seen. What has not had its turn after a quarter of the time goes out at once over a
connection of its own: an endpoint that hangs never costs the answers of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from watchdogd.adapters.vault import parse
from watchdogd.adapters.vault.beating import Beating
from watchdogd.adapters.vault.verdicts import error_text
from watchdogd.core.model import (
    Attempt,
    ClusterId,
    Health,
    NamedActive,
    NodeAddress,
    Raw,
    RawRound,
    Replication,
    ReplicationStatus,
)
from watchdogd.errors import Cause, MalformedReply, OutcomeUnknown, Unreachable
from watchdogd.ports import Clock, HttpReply, HttpRequest, HttpTransport

HEDGE_AFTER = 0.25  # of the round's time
# As the Go client asks: every code but the active one answers 299, so that a body always comes. `removedcode` and
# `haunhealthycode` since 1.19; a version that does not know one ignores it. Source: HEALTHAPI, HEALTHSRC.
HEALTH_PATH = "sys/health?" + "&".join(
    f"{state}code=299"
    for state in ("uninit", "sealed", "standby", "drsecondary", "performancestandby", "removed", "haunhealthy")
)
HEALTH_STATUSES = frozenset({200, 299, 429, 472, 473, 474, 501, 503, 530})
OURS = frozenset({Cause.TLS, Cause.NAME, Cause.LOCAL})
ACCEPTED = range(200, 300)


Value = TypeVar("Value")


class Addresses(Protocol):
    """Who is told whether an address works. Implemented by `names.NameTable`."""

    def answered(self, node: NodeAddress, peer: str = "") -> None:
        """`node` answered as Vault, from the address `peer` where it is known."""

    def answered_as_another(self, node: NodeAddress) -> None:
        """The Vault of another cluster answered where `node` is looked for."""

    def silent(self, node: NodeAddress) -> None:
        """Nothing at all came from `node`."""

    def ever_answered(self, node: NodeAddress) -> bool:
        """True when the address that `node` is reached at once answered as Vault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[Value]):
    """One endpoint of a round: how its exchange ended, and what was in the answer."""

    raw: Raw
    value: Value | None = None
    connection: int | None = None
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """The probes of one node for the replication `kind` of its pair."""

    cluster: ClusterId
    node: NodeAddress
    kind: Replication
    transport: HttpTransport
    addresses: Addresses
    clock: Clock
    vault_id: str = ""  # as pinned for the cluster; empty where it is not

    async def probe_round(self, *, timeout_s: float) -> RawRound:
        """One round, which ends after `timeout_s`, or as soon after it as our own loop has time. Never raises.

        What came too late for it is SILENT, and has timed out; how late the loop was is told beside it.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        turns = [asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()]
        turns[0].set()
        hedge = end - timeout_s * (1 - HEDGE_AFTER)
        with Beating(self.clock, timeout_s) as beating:
            async with asyncio.TaskGroup() as tasks:
                health = tasks.create_task(
                    self._part(HEALTH_PATH, parse.parse_health, HEALTH_STATUSES, turns[:2], hedge, end)
                )
                status = tasks.create_task(
                    self._part(self._status_path, self._parse_status, ACCEPTED, turns[1:3], hedge, end)
                )
                names = tasks.create_task(self._part(parse.NAMES, parse.parse_names, ACCEPTED, turns[2:], hedge, end))
        return self._round(beating, health.result(), names.result(), status.result())

    @property
    def _status_path(self) -> str:
        return f"sys/replication/{self.kind}/status"

    def _parse_status(self, body: bytes) -> ReplicationStatus:
        return parse.parse_replication_status(body, self.kind)

    def _round(
        self, beating: Beating, health: Part[Health], names: Part[NamedActive], status: Part[ReplicationStatus]
    ) -> RawRound:
        if health.value is not None and self._is_of_another(health.value):
            self.addresses.answered_as_another(self.node)
        elif health.value is not None:
            self.addresses.answered(self.node, health.peer)
        elif all(part.raw.attempt is Attempt.SILENT for part in (health, names, status)):
            self.addresses.silent(self.node)
        return RawRound(
            cluster=self.cluster,
            node=self.node,
            started_s=beating.began_s,
            ended_s=beating.ended_s,
            health_raw=health.raw,
            names_raw=names.raw,
            status_raw=status.raw,
            health=health.value,
            names=names.value,
            replication=status.value,
            ever_answered=self.addresses.ever_answered(self.node),
            connection=health.connection if health.connection == status.connection else None,
            timeout_s=beating.timeout_s,
            late_s=beating.late_s,
        )

    def _is_of_another(self, health: Health) -> bool:
        return bool(self.vault_id) and bool(health.cluster_id) and health.cluster_id != self.vault_id

    async def _part(
        self,
        path: str,
        read: Callable[[bytes], Value],
        statuses: Container[int],
        turns: Sequence[asyncio.Event],
        hedge: float,
        end: float,
    ) -> Part[Value]:
        """Ask for `path` when its turn has come, or at `hedge`, and pass the turn on."""
        mine, following = turns
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(hedge):
                await mine.wait()
        try:
            return await self._ask(path, read, statuses, end)
        finally:
            following.set()

    async def _ask(
        self, path: str, read: Callable[[bytes], Value], statuses: Container[int], end: float
    ) -> Part[Value]:
        request = HttpRequest(method="GET", url=f"{self.node}/v1/{path}", headers={"X-Vault-Request": "true"})
        left_s = max(0.0, end - asyncio.get_running_loop().time())
        try:
            reply = await self.transport(request, timeout_s=left_s)
        except Unreachable as no:
            attempt = Attempt.OURS if no.cause in OURS else Attempt.SILENT
            return Part(raw=Raw(attempt=attempt, detail=str(no), timed_out=no.cause is Cause.TIMEOUT))
        except OutcomeUnknown as no:
            attempt = Attempt.BROKEN if no.answered else Attempt.SILENT
            return Part(raw=Raw(attempt=attempt, detail=no.detail, timed_out=no.timed_out))
        except MalformedReply as no:
            return Part(raw=Raw(attempt=Attempt.MALFORMED, detail=no.detail))
        return _read(reply, read, statuses)


def _read(reply: HttpReply, read: Callable[[bytes], Value], statuses: Container[int]) -> Part[Value]:
    """What an answer says: a value, Vault's own error text, or nothing that we know."""
    malformed: str | None = None
    if reply.status in statuses:
        try:
            raw = Raw(attempt=Attempt.ANSWERED, status=reply.status)
            return Part(raw=raw, value=read(reply.body), connection=reply.connection, peer=reply.peer)
        except MalformedReply as no:
            malformed = no.detail
    error = error_text(reply.body)  # only now: most answers are values, and each is decoded once
    if malformed is not None and not error:
        raw = Raw(attempt=Attempt.MALFORMED, status=reply.status, detail=malformed)
    else:
        raw = Raw(attempt=Attempt.ANSWERED, status=reply.status, detail=error)
    return Part(raw=raw, connection=reply.connection)

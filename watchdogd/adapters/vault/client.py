"""One Vault node as methods: a probe round, and the requests that change something.

A mutation is sent once and never repeated here. Every one of them raises Unreachable (nothing was sent),
Refused (certainly not applied) or OutcomeUnknown (observe first), and returns when Vault *accepted* it, which is long
before it is done. Secrets go into a header or a body and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from watchdogd.adapters.vault import parse
from watchdogd.adapters.vault.probe import Addresses, Prober
from watchdogd.adapters.vault.values import AutopilotState, TokenAttempt, TokenInfo
from watchdogd.adapters.vault.verdicts import failure_of
from watchdogd.core.model import ClusterId, NodeAddress, RawRound, Replication
from watchdogd.errors import MalformedReply, OutcomeUnknown
from watchdogd.ports import Clock, HttpReply, HttpRequest, HttpTransport
from watchdogd.secret import Secret

REQUEST_TIMEOUT_S = 30.0  # INTERFACES section 1: promote; nothing else here takes longer
READ_TIMEOUT_S = 5.0

SECRET_CHARS_MIN = 8
TOKEN_HEADER = "X-Vault-Token"  # noqa: S105  the name of a header

Fields = Mapping[str, object]


class NodeClient:
    """Requests to the one node at `node`, over `transport`, for the replication `kind` of its pair."""

    def __init__(
        self,
        *,
        cluster: ClusterId,
        node: NodeAddress,
        kind: Replication,
        transport: HttpTransport,
        addresses: Addresses,
        clock: Clock,
        vault_id: str = "",
    ) -> None:
        self.cluster = cluster
        self.node = node
        self.kind = kind
        self._transport = transport
        self._prober = Prober(
            cluster=cluster,
            node=node,
            kind=kind,
            transport=transport,
            addresses=addresses,
            clock=clock,
            vault_id=vault_id,
        )

    async def probe_round(self, *, timeout_s: float) -> RawRound:
        """One probe round, as `Prober.probe_round`."""
        return await self._prober.probe_round(timeout_s=timeout_s)

    # ------------------------------------------------------------------------------------------------ role changes

    async def demote(
        self, *, token: Secret, only_on_connection: int | None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        """POST sys/replication/KIND/primary/demote with a Vault token.

        The cluster becomes a secondary that follows nobody; poll replication status for it.
        Source: developer.hashicorp.com/vault/api-docs/system/replication/replication-dr, section 3.3 of our reference.
        """
        await self._write(f"sys/replication/{self.kind}/primary/demote", {}, token, only_on_connection, timeout_s)

    async def promote(
        self,
        *,
        token: Secret,
        only_on_connection: int | None,
        force: bool = False,
        primary_cluster_addr: str = "",
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """POST sys/replication/KIND/secondary/promote.

        DR: `token` is a DR operation token and goes into the body. Performance: a Vault token, in the header.
        Refused(NOT_YET) while the secondary is still catching up. Source: as `demote`, sections 3.9 and 3.13.
        """
        fields: dict[str, object] = {}
        if force:
            fields["force"] = True
        if primary_cluster_addr:
            fields["primary_cluster_addr"] = primary_cluster_addr
        path = f"sys/replication/{self.kind}/secondary/promote"
        if self.kind is Replication.DR:
            fields["dr_operation_token"] = token.reveal()
            await self._write(path, fields, None, only_on_connection, timeout_s)
        else:
            await self._write(path, fields, token, only_on_connection, timeout_s)

    async def delete_operation_token(self, *, dr_operation_token: Secret, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """POST sys/replication/dr/secondary/operation-token/delete: revoke it. Source: DRDOC2.

        Refused is expected once the cluster is no DR secondary any more, or when the token was for one use only.
        """
        path = "sys/replication/dr/secondary/operation-token/delete"
        await self._write(path, {"dr_operation_token": dr_operation_token.reveal()}, None, None, timeout_s)

    # ------------------------------------------------------------------------------------------------- credentials

    async def autopilot_state(self, *, token: Secret, timeout_s: float = READ_TIMEOUT_S) -> AutopilotState:
        """GET sys/storage/raft/autopilot/state: the proof of a DR operation token on the secondary itself.

        Raises: Refused(DENIED) for a token that is not good, Refused(UNSUPPORTED) without raft; MalformedReply.
        Source: api/sys_raft.go; a DR secondary takes the DR operation token in the header (DRTOKGUIDE).
        """
        return parse.parse_autopilot_state((await self._read(parse.AUTOPILOT, token, timeout_s)).body)

    async def lookup_self(self, *, token: Secret, timeout_s: float = READ_TIMEOUT_S) -> TokenInfo:
        """GET auth/token/lookup-self. On a DR secondary it is Refused(DENIED): the path is disabled there (LAB2)."""
        return parse.parse_token_info((await self._read(parse.LOOKUP_SELF, token, timeout_s)).body)

    # --------------------------------------------------------------------------- generate-operation-token (section 4)

    async def operation_token_attempt_status(
        self, *, vault_token: Secret | None = None, timeout_s: float = READ_TIMEOUT_S
    ) -> TokenAttempt:
        """GET …/generate-operation-token/attempt. `otp` is always None here."""
        return parse.parse_attempt((await self._read(_ATTEMPT, vault_token, timeout_s)).body)

    async def operation_token_attempt_start(
        self, *, vault_token: Secret | None = None, otp: Secret | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> TokenAttempt:
        """POST …/attempt. The answer is the only place where a generated OTP is ever shown.

        `otp` only for servers of the UUID era. Refused(CONFLICT) while another attempt holds the cluster's one slot.
        """
        fields = {"otp": otp.reveal()} if otp else {}
        reply = await self._write(_ATTEMPT, fields, vault_token, None, timeout_s)
        return _attempt(reply)

    async def operation_token_attempt_cancel(
        self, *, vault_token: Secret | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        """DELETE …/attempt: whoever's it is. Accepted also when nothing is running."""
        await self._send("DELETE", _ATTEMPT, None, vault_token, None, timeout_s)

    async def operation_token_update(
        self, *, key: Secret, nonce: str, vault_token: Secret | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> TokenAttempt:
        """POST …/update with one share. Never repeated: the same share twice is refused."""
        fields = {"key": key.reveal(), "nonce": nonce}
        return _attempt(await self._write(_UPDATE, fields, vault_token, None, timeout_s))

    # ----------------------------------------------------------------------------------------------------- sending

    async def _read(self, path: str, token: Secret | None, timeout_s: float) -> HttpReply:
        return await self._send("GET", path, None, token, None, timeout_s)

    async def _write(
        self, path: str, fields: Fields, token: Secret | None, only_on_connection: int | None, timeout_s: float
    ) -> HttpReply:
        try:
            return await self._send("POST", path, fields, token, only_on_connection, timeout_s)
        except MalformedReply as no:  # an answer without end: it was sent, and nobody knows
            raise OutcomeUnknown(str(no), answered=True) from None

    async def _send(
        self,
        method: str,
        path: str,
        fields: Fields | None,
        token: Secret | None,
        only_on_connection: int | None,
        timeout_s: float,
    ) -> HttpReply:
        request = HttpRequest(
            method=method,
            url=f"{self.node}/v1/{path}",
            headers=_headers(token, has_body=fields is not None),
            body=b"" if fields is None else json.dumps(fields).encode(),
        )
        reply = await self._transport(request, timeout_s=timeout_s, only_on_connection=only_on_connection)
        failure = failure_of(reply.status, reply.body, _sent(token, fields))
        if failure is not None:
            raise failure
        return reply


_ATTEMPT = "sys/replication/dr/secondary/generate-operation-token/attempt"
_UPDATE = "sys/replication/dr/secondary/generate-operation-token/update"


def _headers(token: Secret | None, *, has_body: bool) -> dict[str, str]:
    headers = {"X-Vault-Request": "true"}
    if has_body:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers[TOKEN_HEADER] = token.reveal()
    return headers


def _sent(token: Secret | None, fields: Fields | None) -> tuple[str, ...]:
    """The texts of a request that could be secret; short ones are words."""
    texts = [value for value in (fields or {}).values() if isinstance(value, str)]
    return tuple(text for text in (*texts, token.reveal() if token else "") if len(text) >= SECRET_CHARS_MIN)


def _attempt(reply: HttpReply) -> TokenAttempt:
    """The attempt in the answer of a write: unreadable means that nobody knows what became of it."""
    try:
        return parse.parse_attempt(reply.body)
    except MalformedReply as no:
        raise OutcomeUnknown(str(no), answered=True) from None

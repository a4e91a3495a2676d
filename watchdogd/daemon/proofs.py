"""Durable proofs that a credential would be accepted: shown on the secondary itself, never needing the primary.

A record holds a fingerprint, for what, where, when and until when. It never holds the credential.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace

from watchdogd.core.facts import CredentialSeen
from watchdogd.core.model import ClusterId, NodeSeen, PairId
from watchdogd.core.policy import PairPolicy
from watchdogd.errors import MalformedReply, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import Ensure, Hands, Memory

FOR_PROMOTE = "promote"
RUN_S_MAX = 900.0  # a proof must outlive the run: promote's deadline, and what comes before it
UNDATED_PROOF_S_MAX = 86_400.0  # where no expiry is known; far below the horizon that minting keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`credential` with this fingerprint was accepted by `cluster` at `at_utc_s` on the cluster's own clock."""

    fingerprint: str
    purpose: str
    cluster: ClusterId
    at_utc_s: float
    expires_utc_s: float | None = None

    def outlives(self, server_utc_s: float) -> bool:
        """True when it is still good for a whole run, judged by the clock of the cluster that will judge it."""
        until_utc_s = self.at_utc_s + UNDATED_PROOF_S_MAX if self.expires_utc_s is None else self.expires_utc_s
        return until_utc_s >= server_utc_s + RUN_S_MAX


class ProofBook:
    """The proofs of one pair, by credential and cluster; durable in `Memory`."""

    def __init__(self, pair: PairId, memory: Memory) -> None:
        self._pair = pair
        self._memory = memory

    def of(self, credential: str, cluster: ClusterId) -> Proof | None:
        """The newest proof, or None."""
        return _proof_of(self._memory.get(self._pair, _key(credential, cluster)))

    async def keep(self, credential: str, proof: Proof) -> None:
        """Remember a proof."""
        await self._memory.put(self._pair, {_key(credential, proof.cluster): asdict(proof)})

    async def withdraw(self, credential: str, cluster: ClusterId) -> None:
        """The cluster has denied it: what was proven before no longer counts."""
        await self._memory.put(self._pair, {_key(credential, cluster): {"withdrawn": True}})

    def judge(
        self, credential: str, fingerprint: str, cluster: ClusterId, server_utc_s: float | None
    ) -> CredentialSeen:
        """The credential as the gates see it. Without the cluster's own clock nothing can be judged to have ended."""
        proof = self.of(credential, cluster)
        why = ""
        if proof is None:
            why = f"never accepted by {cluster}"
        elif proof.fingerprint != fingerprint:
            why = "the proof is of another token: this one was not tried yet"
        elif not proof.outlives(server_utc_s if server_utc_s is not None else proof.at_utc_s):
            why = "it expires before a run could end" if proof.expires_utc_s is not None else "its proof is too old"
        return CredentialSeen(
            name=credential,
            is_present=True,
            is_proven=not why,
            expires_utc_s=proof.expires_utc_s if proof is not None else None,
            why=why,
        )


def shares_seen(policy: PairPolicy) -> tuple[CredentialSeen, ...]:
    """Key shares as the gates see them: a way in, which nothing short of generating a token proves."""
    if not policy.credentials.key_shares:
        return ()
    why = "key shares are proven by nothing but generating a token"
    return (CredentialSeen(name="key-shares", is_present=True, is_proven=False, why=why),)


class ProvenHands:
    """The `Hands` port that keeps the book: what is proven is written down, what is denied is withdrawn."""

    def __init__(self, hands: Hands, book: ProofBook, expiry_utc_s: Callable[[str], float | None]) -> None:
        self._hands = hands
        self._book = book
        self._expiry_utc_s = expiry_utc_s

    async def demote(self, at: NodeSeen, credential: str, *, ensure: Ensure) -> None:
        """As the port says."""
        await self._hands.demote(at, credential, ensure=ensure)

    def demoters(self) -> Sequence[str]:
        """As the port says."""
        return self._hands.demoters()

    async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
        """As the port says; a credential that is denied is no longer proven."""
        try:
            await self._hands.promote(at, credential, ensure=ensure, force=force)
        except Refused as refused:
            if refused.kind is Refusal.DENIED:
                await self._book.withdraw(credential, at.cluster)
            raise

    async def prove(self, at: NodeSeen, credential: str) -> None:
        """As the port says, and the proof is durable afterwards."""
        fingerprint = self._hands.fingerprint(credential)
        try:
            await self._hands.prove(at, credential)
        except Refused as refused:
            if refused.kind is Refusal.DENIED:
                await self._book.withdraw(credential, at.cluster)
            raise
        if at.health is None:
            return
        before = self._book.of(credential, at.cluster)
        proof = Proof(
            fingerprint=fingerprint,
            purpose=FOR_PROMOTE,
            cluster=at.cluster,
            at_utc_s=float(at.health.server_time_utc_s),
            expires_utc_s=self._expiry_utc_s(credential),
        )
        if proof.expires_utc_s is None and before is not None and before.fingerprint == fingerprint:
            proof = replace(proof, expires_utc_s=before.expires_utc_s)  # a secondary cannot say it: the primary did
        await self._book.keep(credential, proof)

    def credentials(self) -> Sequence[str]:
        """As the port says."""
        return self._hands.credentials()

    async def generate_token(self, at: NodeSeen, on_started: Callable[[str], Awaitable[None]]) -> str:
        """As the port says."""
        return await self._hands.generate_token(at, on_started)

    async def delete_token(self, at: NodeSeen, credential: str) -> None:
        """As the port says."""
        await self._hands.delete_token(at, credential)

    def fingerprint(self, credential: str) -> str:
        """As the port says."""
        return self._hands.fingerprint(credential)


def _proof_of(kept: object) -> Proof | None:
    if not isinstance(kept, dict) and not hasattr(kept, "items"):
        return None
    given = dict(kept.items())
    if set(given) != {field.name for field in fields(Proof)}:
        return None
    expires = given["expires_utc_s"]
    if not isinstance(given["at_utc_s"], int | float) or not isinstance(expires, int | float | None):
        return None
    return Proof(
        fingerprint=str(given["fingerprint"]),
        purpose=str(given["purpose"]),
        cluster=ClusterId(str(given["cluster"])),
        at_utc_s=float(given["at_utc_s"]),
        expires_utc_s=None if expires is None else float(expires),
    )


def _key(credential: str, cluster: ClusterId) -> str:
    return f"proof:{cluster}:{credential}"


CANNOT_SAY = (Unreachable, Refused, OutcomeUnknown, MalformedReply)

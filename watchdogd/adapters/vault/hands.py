"""The hands of a run: what may be done to a Vault cluster, with the credentials of the config, one node at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.shares import fingerprint as fingerprint_of
from watchdogd.adapters.vault.tokens import generate_operation_token
from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen
from watchdogd.errors import ConfigError, MalformedReply, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.ports import Ensure
from watchdogd.secret import Secret

SecretSource = Callable[[], Secret]  # read at every use; raises ConfigError when it cannot be read
GENERATED = "generated"
VAULT_TOKEN = "vault-token"  # noqa: S105  the name of a credential
DEMOTE_TIMEOUT_S = 10.0  # with the settle time of 10 s, a second one fits into the step's 30 s (INTERFACES section 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """Every way in that the config names. Only references: nothing here holds a secret."""

    tokens: Mapping[str, SecretSource]  # prepared DR operation tokens, in the order of the config
    shares: tuple[SecretSource, ...] = ()
    vault_token: SecretSource | None = None


class VaultHands:
    """`Hands` over the clients of one pair. A generated token lives here, in memory, and nowhere else."""

    def __init__(
        self,
        clients: Mapping[NodeAddress, NodeClient],
        ways: Ways,
        own_nonces: Callable[[ClusterId], frozenset[str]] = lambda cluster: frozenset(),
    ) -> None:
        self._clients = clients
        self._ways = ways
        self._own_nonces = own_nonces
        self._generated: dict[str, Secret] = {}
        self._expiry_utc_s: dict[str, float] = {}  # by fingerprint
        # A fingerprint costs some ms on purpose: one for each token that was read, not one for each read of it.
        self._fingerprints: dict[str, tuple[Secret, str]] = {}

    # -- role changes ------------------------------------------------------------------------------------------------

    async def demote(self, at: NodeSeen, credential: str, *, ensure: Ensure) -> None:
        """As `Hands.demote`."""
        _ensure_one_connection(at)
        source = self._demoting().get(credential)
        token = _readable(source) if source is not None else None
        if token is None:
            raise Refused(Refusal.DENIED, f"{credential} cannot be read")
        ensure()  # a file may have been read slowly
        await self._clients[at.node].demote(token=token, only_on_connection=at.connection, timeout_s=DEMOTE_TIMEOUT_S)

    def demoters(self) -> Sequence[str]:
        """As `Hands.demoters`: the Vault token first, then the prepared ones."""
        return [name for name, source in self._demoting().items() if _readable(source) is not None]

    def _demoting(self) -> Mapping[str, SecretSource]:
        first = {VAULT_TOKEN: self._ways.vault_token} if self._ways.vault_token is not None else {}
        return {**first, **self._ways.tokens}

    async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
        """As `Hands.promote`."""
        _ensure_one_connection(at)
        token = self._token(credential)
        ensure()  # a file may have been read slowly
        await self._clients[at.node].promote(token=token, only_on_connection=at.connection, force=force)

    # -- credentials -------------------------------------------------------------------------------------------------

    def credentials(self) -> Sequence[str]:
        """As `Hands.credentials`."""
        return [name for name, source in self._ways.tokens.items() if _readable(source) is not None]

    def fingerprint(self, credential: str) -> str:
        """As `Hands.fingerprint`. Raises: Refused(DENIED) when it cannot be read."""
        token = self._token(credential)
        known = self._fingerprints.get(credential)
        if known is None or known[0] != token:
            known = self._fingerprints[credential] = (token, fingerprint_of(token))
        return known[1]

    async def prove(self, at: NodeSeen, credential: str) -> None:
        """As `Hands.prove`: autopilot state, which a DR secondary gives to a DR operation token (DRTOKGUIDE)."""
        token = self._token(credential)
        try:
            await self._clients[at.node].autopilot_state(token=token)
        except MalformedReply as reply:
            raise OutcomeUnknown(str(reply)) from reply

    async def learn_expiry(self, at_primary: NodeSeen, credential: str) -> float | None:
        """Ask the living primary how long `credential` lives; seconds UTC, or None where it cannot say."""
        token = self._token(credential)
        info = await self._clients[at_primary.node].lookup_self(token=token)
        if info.expires_utc_s is not None:
            self._expiry_utc_s[self.fingerprint(credential)] = info.expires_utc_s
        return info.expires_utc_s

    def expiry_utc_s(self, credential: str) -> float | None:
        """What the primary last said about the expiry of `credential`; None where it never did."""
        try:
            return self._expiry_utc_s.get(self.fingerprint(credential))
        except Refused:
            return None

    async def generate_token(self, at: NodeSeen, on_started: Callable[[str], Awaitable[None]]) -> str:
        """As `Hands.generate_token`."""
        shares = [share for source in self._ways.shares if (share := _readable(source)) is not None]
        if not shares:
            raise Refused(Refusal.UNSUPPORTED, "no key shares are configured, or none can be read")
        source = self._ways.vault_token
        try:
            token = await generate_operation_token(
                self._clients[at.node],
                shares,
                vault_token=_readable(source) if source is not None else None,
                own_nonces=self._own_nonces(at.cluster),
                on_started=on_started,
            )
        except (Unreachable, OutcomeUnknown, MalformedReply) as error:
            # Generating changes nothing that a promote could: it may be begun anew.
            raise Refused(Refusal.NOT_YET, str(error)) from error
        self._generated[GENERATED] = token
        return GENERATED

    async def delete_token(self, at: NodeSeen, credential: str) -> None:
        """As `Hands.delete_token`; it is forgotten here in every case but an unknown outcome."""
        await self._clients[at.node].delete_operation_token(dr_operation_token=self._token(credential))
        self._generated.pop(credential, None)

    def _token(self, credential: str) -> Secret:
        token = self._generated.get(credential)
        if token is None and credential in self._ways.tokens:
            token = _readable(self._ways.tokens[credential])
        if token is None:
            raise Refused(Refusal.DENIED, f"{credential} cannot be read")
        return token


def _readable(source: SecretSource) -> Secret | None:
    try:
        return source()
    except ConfigError:
        return None


def _ensure_one_connection(at: NodeSeen) -> None:
    """Ids and mode must have been seen on the very connection that the mutation goes out over (I10)."""
    if at.connection is None:
        raise Refused(Refusal.NOT_YET, f"{at.node} showed its ids and its mode on different connections: look again")

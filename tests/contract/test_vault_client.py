"""The Vault client of production against the lab's Vault: one seam, at HTTP, under virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.names import NameTable
from watchdogd.adapters.vault.tokens import generate_operation_token
from watchdogd.core.model import Attempt, ClusterId, Mode, NodeAddress, PairId, RawRound, Replication, StreamState
from watchdogd.errors import Cause, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs, TokenEnvelope
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Place
from watchdogd.lab.world import World
from watchdogd.rehearsal.memory import DictMemory, LoopClock, Revoked
from watchdogd.rehearsal.transport import WorldTransport
from watchdogd.secret import Secret

pytestmark = pytest.mark.looptime
ROUND_S = 2.0
DR, PERFORMANCE = Replication.DR, Replication.PERFORMANCE


async def never(_: str) -> tuple[str, ...]:
    return ()


class Lab:
    """A world, the bastion's way to it, and the credentials of its set-up."""

    def __init__(self, kind: Replication = DR, version: str = "1.19.0", **knobs: object) -> None:
        clusters = tuple(ClusterSpec(name=name, vault_version=version) for name in ("east", "west"))
        spec = WorldSpec(clusters=clusters, kind=kind.value, knobs=replace(Knobs(), **knobs))  # type: ignore[arg-type]
        self.world = World(spec, seed=7)
        self.kind = kind
        self.transport = WorldTransport(self.world, Place.BASTION)

    def node(self, target: str) -> NodeClient:
        address = NodeAddress(self.world.spec.api_addr(target, Place.BASTION))
        names = NameTable(pair=PairId("p"), nodes=[address], memory=DictMemory(), resolve=never)
        return NodeClient(
            cluster=ClusterId(target.split("/")[0]),
            node=address,
            kind=self.kind,
            transport=self.transport,
            addresses=names,
            clock=LoopClock(),
        )

    def secret(self, name: str) -> Secret:
        return Secret(self.world.credentials()[name])

    def shares(self, *numbers: int) -> list[Secret]:
        return [self.secret(f"share_{n}") for n in numbers]

    def fault(self, kind: FaultKind, target: str, **params: str | float | bool) -> None:
        self.world.faults.add(Fault(kind=kind, target=target, params=params))

    def applied(self, verb: str) -> int:
        return sum(effect.verb == verb for effect in self.world.applied)


async def look(client: NodeClient) -> RawRound:
    return await client.probe_round(timeout_s=ROUND_S)


async def connection(client: NodeClient) -> int:
    seen = (await look(client)).connection
    assert seen is not None
    return seen


# ---------------------------------------------------------------------------------------------------------- probing


@pytest.mark.parametrize("later_s", [0.01, 0.03, 0.045, 0.05])
async def test_two_rounds_of_one_node_that_overlap_each_keep_their_connection(later_s: float) -> None:
    # A look beside the probe loop; what showed its ids on one connection and its mode on another may not be promoted.
    client = Lab().node("east/1")
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(look(client))
        await asyncio.sleep(later_s)
        second = tasks.create_task(look(client))
    assert None not in (first.result().connection, second.result().connection)


async def test_a_healthy_pair_reads_as_what_it_is() -> None:
    lab = Lab()
    east, follower, west = [await look(lab.node(t)) for t in ("east/1", "east/2", "west/1")]
    assert east.health is not None
    assert east.names is not None
    assert east.replication is not None
    assert (east.names.is_self, east.health.standby, east.replication.mode) == (True, False, Mode.PRIMARY)
    assert follower.names is not None
    assert follower.health is not None
    assert (follower.names.is_self, follower.health.standby) == (False, True)
    assert follower.names.address
    assert west.replication is not None
    assert (west.replication.mode, west.replication.state) == (Mode.SECONDARY, StreamState.STREAM_WALS)
    assert west.replication.cluster_id == east.replication.cluster_id
    assert west.health is not None
    assert west.health.cluster_id != east.health.cluster_id
    assert {r.health_raw.attempt for r in (east, follower, west)} == {Attempt.ANSWERED}
    assert east.ever_answered


async def test_the_three_answers_of_a_round_come_over_one_connection_and_the_next_round_keeps_it() -> None:
    client = Lab().node("east/1")
    first = await look(client)
    assert first.connection is not None
    assert (await look(client)).connection == first.connection


@pytest.mark.parametrize(
    ("kind", "attempt"),
    [
        (FaultKind.REFUSE, Attempt.SILENT),
        (FaultKind.CRASH, Attempt.SILENT),
        (FaultKind.DROP, Attempt.SILENT),
        (FaultKind.HANG, Attempt.SILENT),
        (FaultKind.RESET, Attempt.SILENT),
    ],
)
async def test_a_node_that_says_nothing_is_silent_within_the_hard_time_out(kind: FaultKind, attempt: Attempt) -> None:
    lab = Lab()
    client = lab.node("east/1")
    await look(client)
    lab.fault(kind, "node:east/1")
    seen = await look(client)
    assert {seen.health_raw.attempt, seen.names_raw.attempt, seen.status_raw.attempt} == {attempt}
    assert seen.ended_s - seen.started_s <= ROUND_S
    assert seen.connection is None
    assert seen.ever_answered


async def test_garbage_is_broken_and_never_silent() -> None:
    lab = Lab()
    lab.fault(FaultKind.GARBAGE, "node:east/1", text="SSH-2.0-OpenSSH\r\n")
    seen = await look(lab.node("east/1"))
    assert seen.health_raw.attempt is Attempt.BROKEN
    assert not seen.ever_answered


async def test_a_sealed_node_answers_health_and_says_so_elsewhere() -> None:
    lab = Lab()
    lab.fault(FaultKind.SEAL, "cluster:east")
    await asyncio.sleep(1)
    seen = await look(lab.node("east/1"))
    assert seen.health is not None
    assert seen.health.sealed
    assert (seen.names_raw.status, seen.names_raw.detail) == (503, "Vault is sealed")


async def test_a_node_that_is_active_by_health_alone_keeps_its_one_connection() -> None:
    # DESIGN section 6: a failover's one demote goes out over it.
    lab = Lab()
    lab.fault(FaultKind.ACTIVE_ERRS, "node:east/1")
    seen = await look(lab.node("east/1"))
    assert seen.names is None
    assert seen.names_raw.status == 500
    assert seen.connection is not None


# -------------------------------------------------------------------------------------------------------- mutations


async def test_promote_and_demote_are_accepted_and_take_effect_later() -> None:
    lab = Lab()
    east, west = lab.node("east/1"), lab.node("west/1")
    await east.demote(token=lab.secret("root_token"), only_on_connection=await connection(east))
    await asyncio.sleep(30)
    await west.promote(token=lab.secret("dr_token_a"), only_on_connection=await connection(west))
    await asyncio.sleep(60)
    seen = await look(west)
    assert seen.replication is not None
    assert seen.replication.mode is Mode.PRIMARY
    assert lab.world.primary() == "west"
    assert (lab.applied("promote"), lab.applied("demote")) == (1, 1)
    assert all("hvb." not in repr(request) for request in lab.transport.sent)


async def test_the_prepared_batch_token_demotes_a_primary() -> None:
    lab = Lab()
    east = lab.node("east/1")
    await east.demote(token=lab.secret("dr_token_a"), only_on_connection=await connection(east))
    assert lab.applied("demote") == 1


async def test_a_performance_secondary_is_promoted_by_a_vault_token_in_the_header() -> None:
    lab = Lab(PERFORMANCE)
    west = lab.node("west/1")
    seen = await look(west)
    assert seen.replication is not None
    assert seen.replication.mode is Mode.SECONDARY
    await west.promote(token=lab.secret("root_token_west"), only_on_connection=seen.connection)
    assert lab.transport.sent[-1].body == b"{}"
    assert lab.applied("promote") == 1


async def test_a_mutation_bound_to_a_connection_that_is_gone_is_not_sent() -> None:
    lab = Lab()
    west = lab.node("west/1")
    kept = await connection(west)
    sent = len(lab.transport.sent)
    with pytest.raises(Unreachable) as caught:
        await west.promote(token=lab.secret("dr_token_a"), only_on_connection=kept + 1)
    assert caught.value.cause is Cause.RESET
    assert len(lab.transport.sent) == sent


async def test_a_promote_that_comes_too_early_is_asked_again_later() -> None:
    lab = Lab(catching_up_s=5.0)
    west = lab.node("west/1")
    token = lab.secret("dr_token_a")
    with pytest.raises(Refused) as caught:
        await west.promote(token=token, only_on_connection=await connection(west))
    assert caught.value.kind is Refusal.NOT_YET
    assert lab.applied("promote") == 0
    await asyncio.sleep(10)
    await west.promote(token=token, only_on_connection=await connection(west))
    assert lab.applied("promote") == 1


@pytest.mark.parametrize("status", [400, 403])
async def test_a_token_that_is_not_good_is_denied_and_never_shown(status: int) -> None:
    lab = Lab(invalid_dr_token_status=status)
    west = lab.node("west/1")
    with pytest.raises(Refused) as caught:
        await west.promote(token=Secret("hvb.never-issued"), only_on_connection=await connection(west))
    assert caught.value.kind is Refusal.DENIED
    assert "never-issued" not in str(caught.value)


async def test_a_lost_reply_leaves_the_outcome_unknown_though_it_was_applied() -> None:
    for outcome in ("reset", "hang"):
        lab = Lab()
        path = "sys/replication/dr/secondary/promote"
        lab.fault(FaultKind.REPLY_LOST, "cluster:west", method="PUT", path=path, outcome=outcome)
        west = lab.node("west/1")
        with pytest.raises(OutcomeUnknown):
            await west.promote(token=lab.secret("dr_token_a"), only_on_connection=await connection(west))
        assert lab.applied("promote") == 1


async def test_what_goes_into_a_black_hole_over_a_kept_connection_is_unknown() -> None:
    lab = Lab()
    west = lab.node("west/1")
    kept = await connection(west)
    lab.fault(FaultKind.DROP, "node:west/1")
    with pytest.raises(OutcomeUnknown):
        await west.promote(token=lab.secret("dr_token_a"), only_on_connection=kept)


async def test_a_killed_daemon_sends_nothing_more() -> None:
    lab = Lab()
    lab.transport.revoked = True
    with pytest.raises(Revoked):
        await lab.node("west/1").autopilot_state(token=lab.secret("dr_token_a"))


# ------------------------------------------------------------------------------------------------------ credentials


async def test_a_dr_token_proves_itself_on_the_secondary_and_nothing_else_does() -> None:
    lab = Lab()
    west = lab.node("west/1")
    state = await west.autopilot_state(token=lab.secret("dr_token_a"))
    assert state.healthy
    assert len(state.servers) == 3
    with pytest.raises(Refused) as caught:
        await west.autopilot_state(token=Secret("hvb.never-issued"))
    assert caught.value.kind is Refusal.DENIED
    with pytest.raises(Refused, match="path disabled in replication DR secondary mode"):
        await west.lookup_self(token=lab.secret("dr_token_a"))


async def test_a_living_primary_says_how_long_a_token_lives() -> None:
    lab = Lab()
    info = await lab.node("east/1").lookup_self(token=lab.secret("dr_token_a"))
    assert (info.token_type, info.orphan) == ("batch", True)
    assert info.expires_utc_s is not None


# ------------------------------------------------------------------------------------------------------- key shares


async def test_three_shares_make_a_token_that_promotes() -> None:
    lab = Lab()
    west = lab.node("west/1")
    nonces: list[str] = []

    async def note(nonce: str) -> None:
        nonces.append(nonce)

    token = await generate_operation_token(west, lab.shares(1, 3, 5), on_started=note)
    assert token.reveal().startswith("hvs.")
    assert len(nonces) == 1
    await west.promote(token=token, only_on_connection=await connection(west))
    assert lab.applied("promote") == 1


@pytest.mark.parametrize("envelope", list(TokenEnvelope))
async def test_a_node_of_2_0_wants_the_vault_token_too(envelope: TokenEnvelope) -> None:
    lab = Lab(version="2.0.0", op_token_envelope=envelope)
    west = lab.node("west/1")
    with pytest.raises(Refused) as caught:
        await generate_operation_token(west, lab.shares(1, 2, 3))
    assert caught.value.kind is Refusal.DENIED
    token = await generate_operation_token(west, lab.shares(1, 2, 3), vault_token=lab.secret("dr_token_a"))
    await west.promote(token=token, only_on_connection=await connection(west))
    assert lab.applied("promote") == 1


async def test_a_node_that_asks_for_no_vault_token_is_not_given_one() -> None:
    lab = Lab()
    await generate_operation_token(lab.node("west/1"), lab.shares(1, 2, 3), vault_token=Secret("hvs.stale-token"))
    assert all("X-Vault-Token" not in request.headers for request in lab.transport.sent)


async def test_the_attempt_of_somebody_else_is_never_cancelled() -> None:
    lab = Lab()
    west = lab.node("west/1")
    theirs = await west.operation_token_attempt_start()
    with pytest.raises(Refused) as caught:
        await generate_operation_token(west, lab.shares(1, 2, 3), own_nonces=frozenset({"another"}))
    assert caught.value.kind is Refusal.CONFLICT
    assert (await west.operation_token_attempt_status()).nonce == theirs.nonce


async def test_our_own_attempt_of_before_a_crash_is_cancelled_by_its_nonce() -> None:
    lab = Lab()
    west = lab.node("west/1")
    ours = await west.operation_token_attempt_start()
    await west.operation_token_update(key=lab.shares(1)[0], nonce=ours.nonce)
    token = await generate_operation_token(west, lab.shares(1, 2, 3), own_nonces=frozenset({ours.nonce}))
    assert token.reveal()


async def test_wrong_shares_are_denied_and_our_attempt_does_not_stay() -> None:
    lab = Lab()
    west = lab.node("west/1")
    wrong = Secret("22" * 33)
    with pytest.raises((Refused, OutcomeUnknown)) as caught:
        await generate_operation_token(west, [*lab.shares(1, 2), wrong])
    assert isinstance(caught.value, Refused)
    assert caught.value.kind is Refusal.DENIED
    assert not (await west.operation_token_attempt_status()).started


async def test_the_same_share_twice_is_denied_and_our_attempt_does_not_stay() -> None:
    lab = Lab()
    west = lab.node("west/1")
    with pytest.raises(Refused):
        await generate_operation_token(west, lab.shares(1, 1, 2))
    assert not (await west.operation_token_attempt_status()).started


async def test_too_few_shares_start_nothing() -> None:
    lab = Lab()
    west = lab.node("west/1")
    with pytest.raises(Refused, match="3 key shares are needed, 2 are configured"):
        await generate_operation_token(west, lab.shares(1, 2))
    assert all(request.method == "GET" for request in lab.transport.sent)


async def test_a_generated_token_is_deleted_once() -> None:
    lab = Lab()
    west = lab.node("west/1")
    token = await generate_operation_token(west, lab.shares(1, 2, 3))
    await west.delete_operation_token(dr_operation_token=token)
    with pytest.raises(Refused):
        await west.promote(token=token, only_on_connection=await connection(west))


async def test_deleting_after_a_promote_is_refused_as_expected() -> None:
    lab = Lab()
    west = lab.node("west/1")
    token = await generate_operation_token(west, lab.shares(1, 2, 3))
    await west.promote(token=token, only_on_connection=await connection(west))
    await asyncio.sleep(60)
    with pytest.raises(Refused):
        await west.delete_operation_token(dr_operation_token=token)

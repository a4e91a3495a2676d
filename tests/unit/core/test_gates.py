"""Each gate is closed for its own reason and open otherwise; all of them answer; a waiver opens only its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests.guards import GATES, NAMED_GATES
from tests.support.pair import (
    EAST,
    WEST,
    Rounds,
    around,
    elected,
    follows,
    health_of,
    policy_of,
    seen,
    stamp,
)
from watchdogd.core.decision import Execution, decide
from watchdogd.core.entries import AckAsked, Acked, Entry, ForeignSeen, HoldPlaced, Paused, Runbook, RunOpened
from watchdogd.core.facts import AnchorSeen, CredentialSeen, Facts, FenceSeen, GateAnswer, Surroundings, WitnessSeen
from watchdogd.core.fold import apply
from watchdogd.core.gates import is_waivable, without
from watchdogd.core.known import Known, Loss
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import License, Reading, RunId, StreamState
from watchdogd.core.policy import FencePolicy, Level, PairPolicy
from watchdogd.core.watch import PairWatch

DIES_S, NOW_S = 100.0, 157.0
RUN = RunId("run-1")


@cache
def at_the_decision() -> PairWatch:
    """A watch at the tick where everything holds for a failover."""
    rounds = Rounds(dies_s=DIES_S)
    for _ in rounds.run(NOW_S):
        pass
    assert rounds.watch is not None
    return rounds.watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    watch: PairWatch
    ledger: Ledger
    around: Surroundings

    @property
    def facts(self) -> Facts:
        return self.watch.assess(self.ledger, self.around)[1]

    def knowing(self, **changes: object) -> Scene:
        known: Known = replace(self.watch.known, **changes)  # type: ignore[arg-type]
        return replace(self, watch=replace(self.watch, known=known))

    def surrounded(self, **changes: object) -> Scene:
        return replace(self, around=replace(self.around, **changes))  # type: ignore[arg-type]

    def journalled(self, *entries: Entry) -> Scene:
        ledger = self.ledger
        for entry in entries:
            ledger = apply(ledger, entry, stamp(NOW_S))
        return replace(self, ledger=ledger)

    def observing(self, *nodes: object) -> Scene:
        return replace(self, watch=self.watch.observe_all(nodes))  # type: ignore[arg-type]

    def with_policy(self, **changes: object) -> Scene:
        policy: PairPolicy = replace(self.watch.policy, **changes)  # type: ignore[arg-type]
        return replace(self, watch=replace(self.watch, policy=policy))


def scene() -> Scene:
    return Scene(watch=at_the_decision(), ledger=elected(), around=around(NOW_S))


def closed(facts: Facts) -> set[str]:
    return {gate.gate for gate in facts.closed_gates()}


def west_active(**health: object) -> object:
    node = at_the_decision().newest[at_the_decision().policy.cluster(WEST).nodes[0]]
    return replace(node, ended_s=NOW_S, health=health_of(WEST, at_s=NOW_S, **health))


def run_opened() -> RunOpened:
    return RunOpened(
        run_id=RUN, incident_id="i", runbook=Runbook.FAILOVER, source=EAST, target=WEST, situation="S-30", why="down"
    )


def silent_anchors(*reached: str) -> tuple[AnchorSeen, ...]:
    return tuple(
        AnchorSeen(address=a.address, place=a.place, is_reachable=a.address in reached, seen_s=NOW_S)
        for a in around(NOW_S).anchors
    )


def never_asked(cluster_scene: Scene) -> Scene:
    watch = cluster_scene.watch
    gone = watch.policy.cluster(EAST).nodes[2]
    return replace(cluster_scene, watch=replace(watch, newest={a: n for a, n in watch.newest.items() if a != gone}))


# gate -> the scene in which it is closed, and what else that closes with it
CLOSED_BY: dict[str, tuple[Scene, set[str]]] = {
    "level": (scene().with_policy(levels=policy_of(failover=Level.APPROVE).levels), set()),
    "paused": (scene().journalled(Paused(reason="maintenance")), set()),
    "tilt": (scene().surrounded(tilt="we were suspended", tilt_until_s=NOW_S + 50.0), set()),
    "stale": (never_asked(scene()), set()),
    "cold-start": (scene().surrounded(started_s=NOW_S - 10.0), set()),
    "self-check": (scene().observing(seen(WEST, 1, NOW_S, Reading.SILENT)), {"secondary-not-able"}),
    "anchors": (scene().surrounded(anchors=silent_anchors("gw:443")), set()),
    "window": (scene().observing(follows(EAST, 2, NOW_S)), set()),
    "secondary-blind": (
        scene().surrounded(now=stamp(NOW_S + 11.0)), {"stale", "self-check", "secondary-not-able", "blind"},
    ),
    "secondary-sees": (
        scene().surrounded(witnesses=(WitnessSeen(name="third", sees=True, seen_s=NOW_S),)),
        {"window", "witness:third"},
    ),
    "blind": (
        scene().observing(*(seen(c, n, NOW_S, Reading.OURS) for c in (EAST, WEST) for n in (1, 2, 3))),
        {"self-check", "secondary-not-able", *(f"node:https://east-{n}:8200" for n in (1, 2, 3))},
    ),
    "secondary-not-able": (
        scene().observing(*(seen(WEST, n, NOW_S, Reading.SEALED) for n in (2, 3))), set(),
    ),
    "sync-state": (scene().knowing(state=StreamState.MERKLE_SYNC), set()),
    "loss": (scene().knowing(loss=Loss(seconds=61.0, wal=5)), set()),
    "licence": (scene().observing(west_active(license=License(state="terminated", terminated=True))), set()),
    "no-credential": (scene().surrounded(credentials=()), set()),
    "proof": (scene().surrounded(credentials=(CredentialSeen(name="a", is_present=True, is_proven=False),)), set()),
    "fence": (scene().surrounded(fences={EAST: FenceSeen(is_configured=True, answers=False)}), set()),
    "ack": (scene().journalled(AckAsked(run_id=RUN)), set()),
    "slot": (scene().journalled(run_opened()), set()),
    "state": (scene().surrounded(state_unwritable="the disk is full"), set()),
    "ids": (scene().knowing(confirmed=frozenset({WEST})), set()),
    "unseen-primary": (scene().knowing(seen_primary=frozenset()), set()),
    "node": (
        scene().observing(seen(EAST, 1, NOW_S, Reading.STRANGE)), {"node:https://east-1:8200"},
    ),
    "witness": (
        scene().surrounded(witnesses=(WitnessSeen(name="third", sees=True, seen_s=NOW_S),)),
        {"witness:third", "secondary-sees", "window"},
    ),
}  # fmt: skip


def test_everything_is_open_where_the_failover_is_decided() -> None:
    facts = scene().facts
    assert closed(facts) == set()
    assert [todo.goes for todo in decide(facts, scene().watch.policy).todo] == [True]


def test_the_list_of_guards_is_whole() -> None:
    assert set(CLOSED_BY) == {*GATES, *NAMED_GATES}


@pytest.mark.parametrize("gate", CLOSED_BY)
def test_a_gate_is_closed_for_its_own_reason_and_stops_the_failover(gate: str) -> None:
    case, besides = CLOSED_BY[gate]
    facts = case.facts
    own = set() if gate in NAMED_GATES else {gate}
    may = {"window"} if gate in ("stale", "node", "blind", "secondary-blind") else set()
    assert own | besides <= closed(facts) <= own | besides | may
    assert not any(todo.goes and todo.runbook is Runbook.FAILOVER for todo in decide(facts, case.watch.policy).todo)


@pytest.mark.parametrize("gate", CLOSED_BY)
def test_every_gate_answers_every_time(gate: str) -> None:
    names = [answer.gate for answer in CLOSED_BY[gate][0].facts.gates]
    assert set(GATES) <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("gate", CLOSED_BY)
def test_a_closed_gate_says_why(gate: str) -> None:
    assert all(len(answer.why) > len("open") for answer in CLOSED_BY[gate][0].facts.closed_gates())


def answer(name: str) -> GateAnswer:
    return GateAnswer(gate=name, is_open=False, why="closed", waivable=is_waivable(name))


def anchors(*reached: str) -> tuple[AnchorSeen, ...]:
    """Four anchors, two of them in our own region; `reached` by their addresses."""
    places = {"own-1": "own", "own-2": "own", "far-1": "neutral", "far-2": "neutral", "beside": "near:east"}
    return tuple(
        AnchorSeen(address=name, place=place, is_reachable=name in reached, seen_s=NOW_S)
        for name, place in places.items()
    )


@pytest.mark.parametrize(
    ("reached", "is_open"),
    [
        (("own-1", "own-2", "far-1"), True),
        (("own-1", "far-1"), False),
        (("own-1", "far-1", "beside"), False),
    ],
    ids=["a majority", "a half", "a half and one that never counts"],
)
def test_the_self_check_wants_a_majority_of_the_anchors_that_count(reached: tuple[str, ...], *, is_open: bool) -> None:
    assert ("anchors" not in closed(scene().surrounded(anchors=anchors(*reached)).facts)) is is_open


def test_a_majority_of_our_own_region_is_no_self_check() -> None:
    near_us = tuple(anchor for anchor in anchors("own-1", "own-2") if anchor.address != "far-2")
    assert "anchors" in closed(scene().surrounded(anchors=near_us).facts)


def test_a_fence_that_was_not_asked_yet_does_not_answer() -> None:
    assert "fence" in closed(scene().surrounded(fences={EAST: FenceSeen(is_configured=True)}).facts)


def test_auto_is_approve_while_nobody_is_elected() -> None:
    assert policy_of().failover_level(None) is Level.APPROVE


def test_the_waivable_gates_are_those_of_the_design() -> None:
    # DESIGN 9; `version` and `cooldown` are asked of other procedures.
    assert {name for name in GATES if is_waivable(name)} == {
        "window", "secondary-blind", "secondary-sees", "anchors", "loss", "licence", "proof", "fence", "ack",
        "sync-state",
    }  # fmt: skip
    assert is_waivable("node:https://east-1:8200")
    assert is_waivable("witness:third")


@pytest.mark.parametrize("name", sorted({n for n in GATES if not is_waivable(n)} - {"level", "cold-start"}))
def test_no_waiver_opens_what_has_none(name: str) -> None:
    assert without((answer(name),), frozenset({name, "window"})) == (answer(name),)


@pytest.mark.parametrize("name", ["window", "anchors", "loss", "node:https://east-1:8200", "witness:third", "proof"])
def test_a_waiver_opens_its_own_gate_only(name: str) -> None:
    rest = (answer("sync-state"), answer("node:https://east-2:8200"))
    assert without((answer(name), *rest), frozenset({name})) == rest


def test_the_waiver_of_the_window_covers_the_cold_start_and_nothing_else_does() -> None:
    gate = (answer("cold-start"),)
    assert without(gate, frozenset({"window"})) == ()
    assert without(gate, frozenset({"anchors"})) == gate


def test_a_secondary_that_can_say_soon_says_when_and_one_that_is_blind_does_not() -> None:
    *_, (_, young, _) = Rounds(dies_s=0.0, started_s=10.0).run(20.0)
    *_, (_, blind, _) = Rounds(has_peers=False, has_connection_state=False).run(60.0)
    until_s = [g.until_s for facts in (young, blind) for g in facts.closed_gates() if g.gate == "secondary-blind"]
    assert until_s == [pytest.approx(25.0, abs=0.1), None]  # three beats after its first look


def test_a_command_overrules_the_level() -> None:
    assert without((answer("level"),), frozenset()) == ()


def test_that_the_secondary_sees_the_primary_is_waived_only_under_a_verified_fence() -> None:
    gate = (answer("secondary-sees"),)
    assert without(gate, frozenset({"secondary-sees"})) == gate
    assert without(gate, frozenset({"secondary-sees"}), is_fenced=True) == ()


@pytest.mark.parametrize(
    "entry", [HoldPlaced(cause="the outage existed before"), ForeignSeen(what="west was made primary")]
)
def test_a_hold_or_something_foreign_makes_auto_wait_and_closes_the_level_with_its_reason(entry: Entry) -> None:
    case = scene().journalled(entry)
    assert closed(case.facts) == {"level"}
    assert [todo.execution for todo in decide(case.facts, case.watch.policy).todo] == [Execution.WAIT]


def test_an_acknowledgement_lifts_the_hold() -> None:
    case = scene().journalled(HoldPlaced(cause="reload"), Acked(by_uid=0))
    assert closed(case.facts) == set()


@pytest.mark.parametrize(
    ("level", "execution"),
    [(Level.OBSERVE, Execution.WOULD), (Level.APPROVE, Execution.WAIT), (Level.AUTO, Execution.GO)],
)
def test_the_level_says_how_far_it_goes_by_itself(level: Level, execution: Execution) -> None:
    case = scene().with_policy(levels=policy_of(failover=level).levels)
    assert [todo.execution for todo in decide(case.facts, case.watch.policy).todo] == [execution]


def test_auto_acts_as_approve_where_nothing_tells_a_dead_primary_from_a_partitioned_one() -> None:
    policy = policy_of()
    east = replace(policy.cluster(EAST), fence=FencePolicy(waived="no fence yet"))
    case = scene().with_policy(clusters={**policy.clusters, EAST: east})
    assert [todo.execution for todo in decide(case.facts, case.watch.policy).todo] == [Execution.WAIT]
    (level,) = (gate.why for gate in case.facts.closed_gates() if gate.gate == "level")
    assert level.startswith("failover = approve: it waits for a command, as auto has nothing that tells")


def test_what_is_known_from_too_long_before_the_loss_is_not_known() -> None:
    # DESIGN 2: "not older than it by more than 15 min"
    early = stamp(DIES_S - 901.0)
    assert closed(scene().knowing(state_at=early).facts) >= {"sync-state"}
    assert closed(scene().knowing(loss_at=early).facts) == {"loss"}
    deaf = {WEST: replace(scene().watch.links[WEST], life_s=None)}
    case = replace(scene(), watch=replace(scene().watch, links=deaf)).knowing(follows_at=early)
    assert closed(case.facts) == {"secondary-not-able"}


@pytest.mark.parametrize(
    ("loss", "is_open"),
    [
        (Loss(seconds=60.0, wal=10**6), True),
        (Loss(seconds=60.1), False),
        (Loss(wal=1000), True),
        (Loss(wal=1001), False),
        (Loss(), False),
    ],
)
def test_the_loss_is_bounded_in_seconds_and_in_wal_where_these_are_unknown(loss: Loss, is_open: bool) -> None:
    assert (closed(scene().knowing(loss=loss).facts) == set()) is is_open


@pytest.mark.parametrize(
    ("reached", "is_open"),
    [
        (("gw:443", "sts:443", "dns:853"), True),
        (("gw:443", "sts:443"), True),
        (("sts:443", "dns:853"), True),
        (("gw:443",), False),
        ((), False),
    ],
)
def test_a_majority_of_the_anchors_and_one_outside_our_region_must_answer(
    reached: tuple[str, ...], is_open: bool
) -> None:
    assert (closed(scene().surrounded(anchors=silent_anchors(*reached)).facts) == set()) is is_open


def test_an_anchor_near_a_cluster_is_shown_and_never_blocks() -> None:
    near = AnchorSeen(address="router.east:443", place="near:east", is_reachable=False, seen_s=NOW_S)
    assert closed(scene().surrounded(anchors=(*around(NOW_S).anchors, near)).facts) == set()

"""When a row is told, and when a fence that was left over is cleared away: the table decides, all of it is walked."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests.support.boxes import boxes
from tests.support.entries import run_opened
from tests.support.pair import Rounds, policy_of, silent
from watchdogd.core.decision import Decision, Execution, decide
from watchdogd.core.entries import Runbook, RunOpened, RunParked
from watchdogd.core.facts import AbortedRun, Facts, GateAnswer, Ours, Side, Sight, Signature, Stream, Third
from watchdogd.core.facts import Debt as DebtOpen
from watchdogd.core.fold import apply
from watchdogd.core.ledger import Debt, DebtState, FenceState, HeldFence
from watchdogd.core.link import LinkWatch
from watchdogd.core.model import ClusterId, NodeSeen, RunId
from watchdogd.core.policy import Level, Timing
from watchdogd.core.situations import LEFT_FENCE, SITUATIONS, Act, Phase, Row, Told, situation_of
from watchdogd.core.telling import Holding, Loudness, is_due, loudness, row_told, why, why_told
from watchdogd.core.windows import link_window

EAST, WEST = ClusterId("east"), ClusterId("west")
TIMING = Timing()
BOXES = tuple(boxes(SITUATIONS))
SAID_BY = {row.id: row.told for row in SITUATIONS}


def test_every_row_says_when_it_is_told_and_rows_of_one_id_agree() -> None:
    assert {row.told for row in SITUATIONS} == set(Told)
    for one, two in itertools.combinations(SITUATIONS, 2):
        if one.id == two.id and one.act is two.act:
            assert (one.told, one.key, one.names_unread) == (two.told, two.key, two.names_unread)


def test_no_two_situations_share_an_alarm() -> None:
    alarms: dict[str, set[str]] = {}
    for row in SITUATIONS:
        alarms.setdefault(row.alarm, set()).add(row.id)
    assert [ids for ids in alarms.values() if len(ids) > 1] == []


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: f"{row.id} {row.why[:20]}")
def test_a_row_is_told_at_its_second_and_not_before(row: Row) -> None:
    after_s = {
        Told.AT_ONCE: 0.0, Told.TWO_ROUNDS: 10.0, Told.WINDOW: 50.0, Told.BEATS_FADED: 18.0, Told.LINK_DOWN: 120.0,
        Told.HALF_WINDOW: 0.0,
    }[row.told]  # fmt: skip
    progress = 0.5 if row.told is Told.HALF_WINDOW else 0.0
    assert is_due(row, TIMING, held_s=after_s, unread_s=after_s, progress=progress)
    if after_s:
        assert not is_due(row, TIMING, held_s=after_s - 0.1, unread_s=after_s, progress=1.0)
    if progress:
        assert not is_due(row, TIMING, held_s=3600.0, unread_s=0.0, progress=0.49)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("S-20", Told.BEATS_FADED),
        ("S-26", Told.HALF_WINDOW),
        ("S-13", Told.LINK_DOWN),
        ("S-40", Told.AT_ONCE),
        ("S-44", Told.TWO_ROUNDS),
    ],
)
def test_the_rows_that_wait_for_something_of_their_own(row: str, told: Told) -> None:
    assert SAID_BY[row] is told


# -- how loud, and of which row ----------------------------------------------------------------------------------------


BY_A_RUN = {Act.FAILOVER, Act.SETTLE_DEBT, Act.ROLL_BACK, Act.CUTOVER_DNS}


@pytest.mark.parametrize("act", Act)
def test_what_goes_is_told_by_its_run_and_everything_else_by_its_row(act: Act) -> None:
    row = Row("S-0", "x", {}, act)
    assert loudness(row, goes=True) is (Loudness.QUIET if act in BY_A_RUN else loudness(row))
    assert loudness(row) is Loudness.PAGES or act not in BY_A_RUN


def beside(run: RunOpened | None, *, is_parked: bool = False) -> tuple[Row | None, Decision]:
    """What is told once east is down: `run` is open."""
    facts, _ = at(170.0)
    ledger = facts.ledger if run is None else apply(facts.ledger, run, facts.now)
    if run is not None and is_parked:
        ledger = apply(ledger, RunParked(run_id=run.run_id, step="x", need="y", why="z"), facts.now)
    facts = replace(facts, ledger=ledger, signature=replace(facts.signature, is_run_open=run is not None))
    decision = decide(facts, policy_of())
    return row_told(facts, decision), decision


def test_what_an_open_run_acts_on_it_tells_itself_and_beside_one_that_waits_all_is_told() -> None:
    told, decision = beside(None)
    assert told == decision.row == decision.beneath
    told, decision = beside(run_opened())
    assert (told, decision.row.id) == (decision.row, "S-01")
    assert beside(run_opened(), is_parked=True)[0] is None  # its own row: the page of the run says it
    for runbook in (Runbook.SETTLE_DEBT, Runbook.CUTOVER_DNS):
        told, decision = beside(run_opened(runbook=runbook), is_parked=True)
        assert told == decision.beneath
        assert decision.beneath.id == "S-30"


def test_a_row_that_only_waits_for_the_slot_of_a_name_that_moves_is_not_told() -> None:
    facts, decision = at(170.0)
    ledger = apply(facts.ledger, run_opened(runbook=Runbook.CUTOVER_DNS), facts.now)
    facts = replace(facts, ledger=ledger)
    slot, level = (GateAnswer(gate=gate, is_open=False, why="x") for gate in ("slot", "level"))
    (todo,) = decision.todo
    assert todo.execution is Execution.GO
    waits, held = (replace(decision, todo=(replace(todo, blocked_by=gates),)) for gates in ((slot,), (slot, level)))
    assert row_told(facts, waits) is None
    assert row_told(facts, held) == decision.beneath


# -- the fence that was left over --------------------------------------------------------------------------------------


def left(**changes: object) -> Facts:
    """A healthy pair, and a fence of ours on its secondary."""
    *_, (_, facts, _) = Rounds().run(100.0)
    fence = HeldFence(cluster=WEST, epoch=1, run_id=RunId("r"), state=FenceState.HELD)
    ledger = replace(facts.ledger, fences={WEST: fence}, **changes)  # type: ignore[arg-type]
    return replace(facts, ledger=ledger)


def decided(facts: Facts, level: Level = Level.AUTO) -> Decision:
    policy = policy_of()
    return decide(facts, replace(policy, levels=replace(policy.levels, settle_debt=level)))


def test_a_fence_that_outlived_its_debt_is_cleared_away_beside_a_healthy_pair() -> None:
    (todo,) = decided(left()).todo
    assert (todo.situation, todo.runbook, todo.source, todo.target) == ("S-19", Runbook.SETTLE_DEBT, WEST, EAST)
    assert (todo.execution, todo.goes, todo.again_after_s) == (Execution.GO, True, LEFT_FENCE.again_after_s)
    assert not todo.takes_the_slot


@pytest.mark.parametrize("gate", ["paused", "tilt", "state"])
def test_it_stays_while_a_gate_of_every_run_is_closed(gate: str) -> None:
    facts = left()
    closed = replace(facts, gates=(*facts.gates, GateAnswer(gate=gate, is_open=False, why="x")))
    assert [todo.goes for todo in decided(closed).todo] == [False]


def test_it_stays_while_a_debt_is_open() -> None:
    debt = Debt(epoch=1, debtor=WEST, creditor=EAST, state=DebtState.OWED, since=left().now)
    assert decided(left(debts=(debt,))).todo == ()


@pytest.mark.parametrize(("level", "execution"), [(Level.APPROVE, Execution.WAIT), (Level.OBSERVE, Execution.WOULD)])
def test_at_a_lower_level_it_waits_for_its_command_or_is_only_said(level: Level, execution: Execution) -> None:
    (todo,) = decided(left(), level).todo
    assert (todo.execution, todo.goes) == (execution, False)
    assert todo.command == "watchdogctl approve settle-debt east --pair prod --reason '...'"


def test_it_stays_on_the_elected_cluster_and_on_what_does_not_say_secondary() -> None:
    facts = left()
    on_elected = HeldFence(cluster=EAST, epoch=1, run_id=RunId("r"), state=FenceState.HELD)
    assert decided(replace(facts, ledger=replace(facts.ledger, fences={EAST: on_elected}))).todo == ()
    west = replace(facts.partner, active=None)
    assert decided(replace(facts, views={**facts.views, WEST: west})).todo == ()


def test_it_goes_beside_quiet_rows_only() -> None:
    assert LEFT_FENCE.id not in {row.id for row in SITUATIONS}
    assert LEFT_FENCE.beside == {Act.NOTHING, Act.ALERT, Act.HEAL}
    assert {row.act for row in SITUATIONS if row.act in LEFT_FENCE.beside} == LEFT_FENCE.beside


# -- what is said ------------------------------------------------------------------------------------------------------


@cache
def at(second: float, level: Level = Level.AUTO) -> tuple[Facts, Decision]:
    """East dies at second 100."""
    *_, (_, facts, decision) = Rounds(policy=policy_of(failover=level), dies_s=100.0).run(second)
    return facts, decision


def test_in_the_first_seconds_of_a_loss_only_what_is_seen_is_said() -> None:
    facts, decision = at(106.0)
    assert decision.row.id == "S-20"
    said = why(decision.row, facts)
    assert said.startswith("the elected cluster is not up for us, but somebody else sees it: west last heard it ")
    assert "path" not in said
    assert why_told(decision.row, facts) == f"{said}; we lost our path to it"


def test_a_witness_that_sees_is_named() -> None:
    window = link_window(WEST, LinkWatch(), Sight.SEES, TIMING, witness="pr", now_s=10.0)
    assert window.why == "witness pr sees it now"


def test_a_claim_is_only_made_of_a_row_that_waits() -> None:
    assert {row.id for row in SITUATIONS if row.claim} == {"S-20"}
    assert [row.id for row in SITUATIONS if row.claim and row.told is Told.AT_ONCE] == []


# -- the phase ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "phase"), [(Level.OBSERVE, Phase.SUSPECT), (Level.AUTO, Phase.ACTING)])
def test_a_pair_is_acting_only_while_something_acts(level: Level, phase: Phase) -> None:
    _, decision = at(160.0, level)
    assert decision.row.id == "S-30"
    assert decision.phase is phase


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: f"{row.id} {row.why[:20]}")
def test_every_row_that_may_wait_for_a_level_or_a_gate_has_a_phase_for_it(row: Row) -> None:
    may_wait = row.phase is Phase.ACTING
    assert (row.phase_idle is not None) is may_wait


# -- how long a row has held -------------------------------------------------------------------------------------------

LOST = Signature(
    elected=Side.UNKNOWN, partner=Side.SECONDARY, sight=Sight.RUNNING, stream=Stream.STOPPED, debt=DebtOpen.NONE,
    is_foreign=False, is_run_open=False, ours=Ours.FIT, aborted=AbortedRun.NONE, is_fence_on_elected=False,
    is_able=True, are_gates_open=False, third=Third.NOBODY,
)  # fmt: skip
UNREAD = replace(LOST, partner=Side.UNKNOWN, sight=Sight.BLIND, stream=Stream.UNREAD, is_able=False)
SOUND = replace(LOST, elected=Side.PRIMARY, sight=Sight.SEES, stream=Stream.STREAMING)


def played(signatures: Iterable[Signature]) -> Iterator[Holding]:
    """One tick a second; no window is ever half full."""
    holding = Holding()
    for second, seen in enumerate(signatures):
        holding = holding.feed(situation_of(seen), seen, TIMING, progress=0.0, now_s=float(second))
        yield holding


def told_of(holding: Holding) -> str:
    return holding.told.id if holding.told is not None else ""


def first_s(signatures: Iterable[Signature], row: str) -> int | None:
    return next((second for second, held in enumerate(played(signatures)) if told_of(held) == row), None)


def test_a_page_that_waits_is_not_put_off_by_one_look_at_the_secondary_that_failed() -> None:
    assert first_s([LOST] * 100, "S-22") == 50
    assert first_s([*[LOST] * 30, UNREAD, *[LOST] * 100], "S-22") == 50


def test_a_page_that_stands_is_not_taken_away_by_it() -> None:
    told = [told_of(held) for held in played([*[LOST] * 60, UNREAD, *[LOST] * 5])]
    assert set(told[50:]) == {"S-22"}


def test_what_stays_unread_is_told_as_what_it_is_once_the_gap_is_over_and_not_a_window_later() -> None:
    told = [told_of(held) for held in played([*[LOST] * 60, *[UNREAD] * 60])]
    gap_s = int(TIMING.gap_max_s)
    assert set(told[50 : 60 + gap_s]) == {"S-22"}
    assert set(told[60 + gap_s :]) == {"S-36"}


def test_a_primary_that_was_seen_ends_the_page_at_once_and_the_hold_with_it() -> None:
    held = [*played([*[LOST] * 60, SOUND, *[LOST] * 40])]
    assert {told_of(one) for one in held[60:]} == {"S-10", ""}
    assert told_of(held[60]) == "S-10"


@dataclass
class LostRounds(Rounds):
    """Every round of west that begins within `lost_s` of `lost_from_s` is lost."""

    lost_from_s: float = float("inf")
    lost_s: float = 0.0

    def _round(self, cluster: ClusterId, n: int, started_s: float) -> NodeSeen:
        if cluster == WEST and 0.0 <= started_s - self.lost_from_s < self.lost_s:
            return silent(cluster, n, started_s + self.silence_s, took_s=self.silence_s)
        return super()._round(cluster, n, started_s)

    def told(self, until_s: float) -> dict[float, tuple[str, str]]:
        """At every tick the row that matches, and the one that people hear of."""
        holding, told = Holding(), {}
        for at_s, facts, decision in self.run(until_s):
            progress = max((window.progress for window in facts.windows), default=0.0)
            holding = holding.feed(decision.row, facts.signature, TIMING, progress=progress, now_s=at_s)
            told[at_s] = (decision.row.id, told_of(holding))
        return told


# East dies at 100; at 160, once it is known to be down, another node of west becomes active: the window of what west
# hears begins anew, and S-26 stands from 163 to 213 although nothing of east was up for a window.
def test_one_round_of_the_secondary_that_is_lost_while_a_window_runs_pages_nobody() -> None:
    told = LostRounds(dies_s=100.0, west_changes_s=160.0, lost_from_s=170.0, lost_s=3.0).told(212.0)
    assert {row for at_s, (row, _) in told.items() if at_s > 164.0} == {"S-26", "S-36"}
    assert {heard for at_s, (_, heard) in told.items() if at_s > 164.0} <= {"S-26", ""}


def test_a_secondary_that_stays_unread_while_a_window_runs_is_paged_once_that_has_outlasted_a_short_while() -> None:
    told = LostRounds(dies_s=100.0, west_changes_s=160.0, lost_from_s=170.0, lost_s=90.0).told(212.0)
    unread_s = min(at_s for at_s, (row, _) in told.items() if at_s > 164.0 and row == "S-36")
    paged_s = min(at_s for at_s, (_, heard) in told.items() if at_s > 164.0 and heard == "S-36")
    assert paged_s <= unread_s + TIMING.gap_max_s
    assert {heard for at_s, (_, heard) in told.items() if at_s >= paged_s} == {"S-36"}


SUSPECT = replace(LOST, elected=Side.SUSPECT)


def test_looks_that_fail_again_and_again_while_a_window_runs_are_paged_after_one_window() -> None:
    """Mixtures at random: suspect for a few seconds, then a look at one cluster or the other that fails."""
    chance, window_s, gap_s = random.Random(13), int(TIMING.down_after_s), int(TIMING.gap_max_s)
    met = Counter[str]()
    for _ in range(60):
        suspect_s, unread_s = chance.randrange(1, 30), chance.randrange(1, 12)
        mixture: list[Signature] = []
        while len(mixture) < 8 * window_s:
            mixture += [SUSPECT] * chance.randrange(1, suspect_s + 1)
            mixture += [chance.choice((LOST, UNREAD))] * chance.randrange(1, unread_s + 1)
        failed = [second for second, seen in enumerate(mixture) if seen is not SUSPECT]
        late = next(n for n, second in enumerate(failed) if second >= window_s)
        paged_s = next(second for second, held in enumerate(played(mixture)) if told_of(held) in ("S-22", "S-36"))
        # At the first look that fails after a window; put off only as long as nearly all of that window was seen.
        assert paged_s == failed[max(late, gap_s)]
        assert late >= gap_s or mixture[: failed[late]].count(SUSPECT) >= failed[late] - gap_s
        met["at once" if late >= gap_s else "put off"] += 1
    assert min(met["at once"], met["put off"]) > 5


def test_one_tick_of_another_row_that_denies_nothing_changes_no_page() -> None:
    """Sequences at random: a row that holds, a gap of what could not be read, the row again."""
    chance, met = random.Random(7), Counter[str]()
    for _ in range(2_500):
        row = chance.choice([box for box in BOXES if box.row.told is not Told.HALF_WINDOW and not box.row.is_healthy])
        seen = row.example(chance)
        lacking = chance.choice(BOXES).example(chance)
        between = situation_of(lacking)
        if between.told is Told.AT_ONCE or between.alarm == row.row.alarm or row.row.is_denied_by(lacking):
            continue
        met[f"{row.row.id} {between.id}"] += 1
        before, gap, after = chance.randrange(1, 130), chance.randrange(1, int(TIMING.gap_max_s)), 60
        told = [told_of(one) for one in played([*[seen] * before, *[lacking] * gap, *[seen] * after])]
        smooth = [told_of(one) for one in played([seen] * (before + gap + after))]
        is_told = smooth[before - 1] == row.row.id
        assert told[before + gap :] == smooth[before + gap :], (row.row, between)
        assert not is_told or told[before : before + gap] == smooth[before : before + gap], (row.row, between)
    assert {"S-22 S-36", "S-36 S-22"} & set(met) == {"S-22 S-36"}
    assert len(met) > 20


def test_a_page_that_is_due_is_told_at_once_whatever_quieter_row_is_told() -> None:
    """Sequences at random: a row that holds, then a louder one that is lost every few seconds to the first."""
    chance, met = random.Random(11), Counter[str]()
    quiet_boxes = [box for box in BOXES if not box.row.is_healthy and loudness(box.row) < Loudness.PAGES]
    loud_boxes = [box for box in BOXES if loudness(box.row) is Loudness.PAGES and box.row.told is not Told.AT_ONCE]
    for _ in range(600):
        quiet, loud = chance.choice(quiet_boxes), chance.choice(loud_boxes)
        before, after = quiet.example(chance), loud.example(chance)
        if loud.row.is_denied_by(before):
            continue
        met[f"{quiet.row.id} {loud.row.id}"] += 1
        held_s, seen_s, lost_s = chance.randrange(1, 130), chance.randrange(2, 9), chance.randrange(1, 4)
        alone_s = first_s([after] * 130, loud.row.id)
        assert alone_s is not None
        lossy = [after, *[*[after] * seen_s, *[before] * lost_s] * 30]
        told = [told_of(one) for one in played([*[before] * held_s, *lossy])][held_s:]
        late = {told[second] for second, seen in enumerate(lossy) if second >= alone_s and seen is after}
        assert late == {loud.row.id}, (quiet.row, loud.row)
    assert {"S-16 S-44", "S-13 S-44"} & set(met)
    assert len(met) > 5

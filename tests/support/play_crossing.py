"""The App killed at every point of an incident on the play's stage, and taken up again in a world that went on."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from structlog.testing import capture_logs

from tests.support.drill_ends import MAY_WAIT, Meanwhile
from watchdogd.core.ledger import RunState
from watchdogd.core.model import PairId
from watchdogd.core.situations import Act
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.scenario import Scenario
from watchdogd.lab.scenario_file import parse_scenarios
from watchdogd.rehearsal.play import STEP_S, Play
from watchdogd.rehearsal.ports import PlayClock
from watchdogd.rehearsal.site import EAST, WEST

A_MOMENT_S = 1e-6
REST_S = 7.0  # longer than a cluster of this world takes from its start to an active node
PUBLISHED_S = 30.0  # a change that the provider has accepted shows by then
ROLE_CHANGE_S = 15.0  # longer than any of this world takes
QUIET = """
title = "killed-anywhere"
stands_for = "The region is lost, and comes back."
until = "200s"
[pair]
timing = "coarse"
[world]
writers = 0
[[expect]]
run = "failover succeeded"
"""


def incident() -> Scenario:
    """A healthy pair; what becomes of it is for the test to say."""
    return parse_scenarios(QUIET)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What SIGKILL leaves at one point: world and name, journal, memory, and the moment."""

    point: str
    left: bytes
    memory: Mapping[tuple[PairId, str], Mapping[str, object]]
    marks: tuple[object, ...]  # what is durable and what was done; equal at two points that leave the same


class Crossed(Play):
    """A play without a time line: it goes on until something holds."""

    def keep(self, point: str) -> Kept:
        """Everything that outlives the daemon, as it is now."""
        daemon = self.daemon
        assert daemon is not None
        self.world.tick(max(self.clock.now_s(), self.world.now_s))
        # What a file of credentials holds is the world's, and of no point.
        world, durable, now_s = self.world, daemon.journal.durable, self.clock.now_s()
        fenced = tuple(cluster for cluster in world.clusters if world.is_fenced(cluster))
        return Kept(
            point=point,
            left=pickle.dumps((world, self.names, durable, now_s)),
            memory=dict(self.memory.values),
            marks=(len(durable), len(world.applied), fenced, self.names.published_cluster(now_s + PUBLISHED_S)),
        )

    def take_over(self, kept: Kept) -> None:
        """The stage as it was at that point, without a daemon."""
        left = pickle.loads(kept.left)  # noqa: S301  our own bytes
        self.world, self.names, self.durable, at_s = left
        self.memory.values = dict(kept.memory)
        began_s = asyncio.get_running_loop().time() - at_s - A_MOMENT_S  # never a moment earlier than it was
        self.clock = PlayClock(epoch_utc_s=self.world.epoch_utc_s, began_s=began_s)

    async def until(self, holds: Callable[[], object], *, within_s: float) -> bool:
        """Whether it came to hold; the world goes on meanwhile."""
        end_s = self.clock.now_s() + within_s
        while not holds():
            if self.clock.now_s() >= end_s:
                return False
            await asyncio.sleep(STEP_S)
            self._catch_up(self.clock.now_s())
        return True

    async def pass_by(self, for_s: float) -> None:
        """So long nothing is done by anybody but the world."""
        await self.until(lambda: False, within_s=for_s)

    async def on_stage(self, story: Callable[[], object]) -> None:
        """Run `story`, an async function, with the tasks of the daemons that it starts."""
        with capture_logs():
            async with self._tasks:
                await story()  # type: ignore[misc]
                self.kill()

    # -- the world ---------------------------------------------------------------------------------------------------

    def lose(self, region: str) -> None:
        """Every process and link of it is gone."""
        self.world.tick(max(self.clock.now_s(), self.world.now_s))
        self.world.faults.add(Fault(kind=FaultKind.CRASH, target=f"region:{region}", params={}))

    async def change(self, meanwhile: Meanwhile) -> int:
        """What the world does while the daemon is dead. Returns how many promotions were somebody else's."""
        match meanwhile:
            case Meanwhile.NOTHING:
                return 0
            case Meanwhile.A_BACK_PRIMARY:
                self.mend()
                return 0
            case Meanwhile.B_BY_HAND:
                await self.pass_by(ROLE_CHANGE_S)
                if WEST in self.world.active_primaries():
                    return 0
                self.world.promote(self.world.clusters[WEST], self.world.kind)
                return 1
            case _:
                raise NotImplementedError(meanwhile)

    def mend(self) -> None:
        """Nothing is wrong with the world any more."""
        self.world.tick(max(self.clock.now_s(), self.world.now_s))
        self.world.faults.clear()
        self.world.tick(self.world.now_s)

    # -- coming to rest ------------------------------------------------------------------------------------------------

    async def rests(self, within_s: float) -> bool:
        """Whether nothing moves any more: no entry for a while, no window running, nothing to begin."""
        entries, since_s = -1, self.clock.now_s()

        def has_come() -> bool:
            nonlocal entries, since_s
            unit = self.daemon.unit if self.daemon is not None else None
            standing = unit.deciding.standing if unit is not None else None
            if len(self.durable) != entries or standing is None:
                entries, since_s = len(self.durable), self.clock.now_s()
                return False
            decision, run = standing.decision, self.ledger.run
            is_deciding = decision.row.id == "S-26" or any(todo.goes for todo in decision.todo)
            is_idle = not is_deciding and not self._is_fence_to_go() if run is None else run.state is RunState.PARKED
            return is_idle and self.clock.now_s() - since_s >= REST_S

        return await self.until(has_come, within_s=within_s)

    def _is_fence_to_go(self) -> bool:
        unit, ledger = self.daemon.unit if self.daemon is not None else None, self.ledger
        if unit is None or unit.deciding.standing is None or ledger.open_debt is not None:
            return False
        facts, decision = unit.deciding.standing.facts, unit.deciding.standing.decision
        secondary = {cluster for cluster, view in facts.views.items() if view.is_active_secondary}
        return bool(ledger.fences.keys() & secondary) and decision.row.act in (Act.NOTHING, Act.ALERT)

    def is_settled(self, primary: str) -> bool:
        """True when nothing is left to do: one primary, elected, published, no debt, no fence, no run."""
        ledger, world = self.ledger, self.world
        return (
            world.active_primaries() == (primary,)
            and ledger.elected == primary
            and ledger.open_debt is None
            and not ledger.fences
            and not any(world.is_fenced(cluster) for cluster in world.clusters)
            and ledger.run is None
            and self.names.published_cluster(self.clock.now_s()) == primary
        )

    def is_owed(self) -> bool:
        """West is primary and published; east is not back yet, and cannot harm when it comes."""
        return (
            self.world.active_primaries() == (WEST,)
            and self.ledger.elected == WEST
            and self.ledger.open_debt is not None
            and self.names.published_cluster(self.clock.now_s()) == WEST
            and self.world.is_fenced(EAST)
        )

    def is_waiting(self) -> bool:
        """What stands is a page or an alert: a human knows."""
        unit = self.daemon.unit if self.daemon is not None else None
        standing = unit.deciding.standing if unit is not None else None
        return standing is not None and standing.decision.row.act in MAY_WAIT

    def broken_rules(self, by_hand: int) -> list[str]:
        """What may never be, however the world changes."""
        world, ledger = self.world, self.ledger
        wrong = list(self.invariants.broken)
        ours = sum(effect.verb == "promote" for effect in world.applied) - by_hand
        if ours > 1:
            wrong.append(f"promote was applied {ours} times by us")
        if any(effect.verb == "promote" and effect.cluster == EAST for effect in world.applied):
            wrong.append("promote was sent to a second cluster")
        if world.counts.two_writable_primaries_s:
            wrong.append(f"two writable primaries for {world.counts.two_writable_primaries_s} s")
        if len(world.active_primaries()) > 1:
            wrong.append("two active primaries are left standing")
        for cluster in world.clusters:
            debt = ledger.open_debt
            is_meant = ledger.run is not None or (debt is not None and debt.debtor == cluster)
            if world.is_fenced(cluster) and not is_meant and ledger.elected != cluster:
                wrong.append(f"the fence of {cluster} outlived its debt")
        return wrong

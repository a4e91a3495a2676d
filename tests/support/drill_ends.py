"""What the world may do while a run stands still, when nothing moves any more, and what may never be then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from tests.support.drill import Drill
from tests.support.drill_dns import target_of
from tests.support.drill_site import EAST, WEST, Site
from watchdogd.core.ledger import RunState
from watchdogd.core.situations import Act
from watchdogd.lab.faults import FaultKind

REST_S = 5.0
MAY_WAIT = frozenset({Act.FREEZE, Act.PAGE, Act.ALERT})


class Meanwhile(StrEnum):
    """What the world does while the daemon is dead."""

    NOTHING = "nothing"
    A_BACK_PRIMARY = "a_back_primary"
    A_BACK_SEALED = "a_back_sealed"
    B_BY_HAND = "b_promoted_by_hand"
    SWAPPED_BY_HAND = "roles_swapped_by_hand"
    NAME_BY_HAND = "name_moved_by_hand"


# -- what the world does -----------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class ByHand:
    """What people did: the promotions that are not ours."""

    promoted: int = 0


async def change_the_world(site: Site, meanwhile: Meanwhile) -> ByHand:
    by_hand = ByHand()
    match meanwhile:
        case Meanwhile.NOTHING:
            pass
        case Meanwhile.A_BACK_PRIMARY:
            site.mend()
        case Meanwhile.A_BACK_SEALED:
            site.break_(FaultKind.SEAL, "cluster:east")
            site.mend(kind=FaultKind.CRASH)
        case Meanwhile.B_BY_HAND:
            await pass_window(site)
            if WEST not in site.world.active_primaries():
                by_hand.promoted += 1
                site.promote_by_hand(WEST)
        case Meanwhile.SWAPPED_BY_HAND:
            await swap(site, by_hand)
        case Meanwhile.NAME_BY_HAND:
            site.point_name_at(target_of(WEST if site.names.held().targets == (target_of(EAST),) else EAST))
    return by_hand


async def pass_window(site: Site) -> None:
    """Let a role change that runs already come to its end."""
    await asyncio.sleep(4.0)
    site.tick()


async def swap(site: Site, by_hand: ByHand) -> None:
    """A person brings east back and swaps the roles properly: first demote, then promote."""
    await pass_window(site)
    is_west_primary = WEST in site.world.active_primaries()
    site.mend()
    await pass_window(site)
    was, becomes = (WEST, EAST) if is_west_primary else (EAST, WEST)
    if becomes in site.world.active_primaries():
        site.demote_by_hand(was)  # both were primary: one demote makes the swap
        return
    site.demote_by_hand(was)
    await pass_window(site)
    by_hand.promoted += 1
    site.promote_by_hand(becomes)
    await pass_window(site)


# -- coming to rest ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Rest:
    """Whether nothing has moved for a while."""

    drill: Drill
    entries: int = -1
    since_s: float = 0.0

    def has_come(self) -> bool:
        drill, now_s = self.drill, self.drill.site.now_s()
        decision = drill.daemon.decision
        if len(drill.site.durable) != self.entries or decision is None:
            self.entries, self.since_s = len(drill.site.durable), now_s
            return False
        run = drill.ledger.run
        is_deciding = decision.row.id == "S-26" or any(todo.goes for todo in decision.todo)
        is_idle = not is_deciding if run is None else run.state is RunState.PARKED
        return is_idle and now_s - self.since_s >= REST_S and not self._is_fence_to_go()

    def _is_fence_to_go(self) -> bool:
        ledger, facts = self.drill.ledger, self.drill.daemon.facts
        is_calm = self.drill.daemon.decision is not None and self.drill.daemon.decision.row.act in (
            Act.NOTHING,
            Act.ALERT,
        )
        left = [cluster for cluster in ledger.fences if cluster != ledger.elected]
        return bool(left) and ledger.run is None and ledger.open_debt is None and is_calm and facts is not None


def broken_rules(drill: Drill, by_hand: ByHand) -> list[str]:
    """What may never be, however the world changes."""
    site, ledger, run = drill.site, drill.ledger, drill.ledger.run
    site.tick()
    ours = site.applied("promote") - by_hand.promoted
    wrong = []
    if ours > 1:
        wrong.append(f"promote was applied {ours} times by us")
    if site.sent_to("promote", EAST):
        wrong.append("promote was sent to a second cluster")
    if site.world.counts.two_writable_primaries_s:
        wrong.append(f"two writable primaries for {site.world.counts.two_writable_primaries_s} s")
    for cluster in site.held:
        debt = ledger.open_debt
        is_meant = run is not None or (debt is not None and debt.debtor == cluster) or ledger.elected == cluster
        if not is_meant:
            wrong.append(f"the fence of {cluster} outlived its debt")
    if len(site.world.active_primaries()) > 1:
        wrong.append("two active primaries are left standing")
    return wrong


def is_owed(drill: Drill) -> bool:
    """West is primary and published; east is not back yet, and cannot harm when it comes."""
    site, ledger = drill.site, drill.ledger
    return (
        site.world.active_primaries() == (WEST,)
        and ledger.elected == WEST
        and ledger.open_debt is not None
        and site.names.published(site.now_s()) == WEST
        and EAST in site.held
    )

"""One line about all pairs, for whoever has only one: `systemctl status`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from watchdogd.core.decision import Decision
from watchdogd.core.explain import sentence
from watchdogd.core.facts import Facts, Side, Stream
from watchdogd.core.gates import ASKED_LATER
from watchdogd.core.model import ClusterId
from watchdogd.core.policy import PairPolicy
from watchdogd.core.situations import Phase
from watchdogd.core.telling import why

NAMED_MAX = 3  # of more pairs, the steady ones are only counted
STREAMS = {
    Stream.STREAMING: "streaming",
    Stream.SYNCING: "syncing",
    Stream.STOPPED: "not streaming",
    Stream.STOPPED_LONG: "not streaming",
    Stream.UNREAD: Side.SECONDARY.value,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One pair, like `prod: steady, east primary, west streaming; failover auto`."""

    text: str
    is_steady: bool


def headline(facts: Facts, decision: Decision, policy: PairPolicy) -> Headline:
    """One pair now."""
    row = decision.row
    standing = f"{decision.phase}," if row.is_healthy else f"{decision.phase}, {row.id} {row.brief or why(row, facts)};"
    sides = ", ".join(f"{cluster} {_side(facts, cluster)}" for cluster in facts.views)
    told = f"{facts.pair}: {standing} {sides}; {_automation(facts, decision, policy)}"
    return Headline(text=told, is_steady=decision.phase is Phase.STEADY)


def one_line(headlines: Iterable[Headline]) -> str:
    """All pairs: first those that are not steady; many steady ones are only counted."""
    said = sorted(headlines, key=lambda one: one.is_steady)
    steady = [one for one in said if one.is_steady]
    if len(said) <= NAMED_MAX or len(steady) < 2:
        return "; ".join(one.text for one in said)
    return "; ".join([*(one.text for one in said if not one.is_steady), f"{len(steady)} pairs steady"])


def held_by(facts: Facts) -> tuple[str, ...]:
    """The gates that would hold a failover, were the primary to die now."""
    return tuple(gate.gate for gate in facts.closed_gates() if gate.gate not in ASKED_LATER)


def _side(facts: Facts, cluster: ClusterId) -> str:
    side = facts.side(cluster)
    is_listening = side is Side.SECONDARY and cluster != facts.ledger.elected
    return STREAMS[facts.stream] if is_listening else side.value


def _automation(facts: Facts, decision: Decision, policy: PairPolicy) -> str:
    if facts.ledger.run is not None or decision.todo:
        return sentence(decision, facts)
    held = held_by(facts)
    waits = [f"held by {', '.join(held)}"] if held else []
    full_s = [window.full_at_s - facts.now.at_s for window in facts.windows if window.full_at_s is not None]
    if decision.phase is Phase.SUSPECT and full_s:
        waits.append(f"window full in {max(0.0, *full_s):.0f} s")
    return ", ".join([f"failover {policy.failover_level(facts.ledger.elected)}", *waits])

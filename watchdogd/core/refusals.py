"""What is refused whatever is waived, and whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.core.facts import Facts, Side
from watchdogd.core.model import ClusterId, ClusterView
from watchdogd.core.views import sealed_not_dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """Why something is never done as things are."""

    why: str
    is_elected_already: bool = False


def never_failed_over(facts: Facts, target: ClusterId) -> Never | None:
    """Why nobody fails over to `target` now, past whatever gate; None where the gates alone decide."""
    elected = facts.elected
    if elected is None:
        return Never(why="nobody is elected: no cluster was ever seen as active primary with its pins")
    if elected.cluster == target:
        return Never(why=f"{target} is the elected cluster of epoch {facts.ledger.epoch}", is_elected_already=True)
    if elected.is_active_primary:
        return Never(why=f"{elected.cluster} is an active primary: promoting {target} would make two of them")
    if sealed := sealed_not_dead(elected):
        return Never(why=f"{sealed}: unseal it, or stop it")
    if Side.WRONG in (facts.elected_side, facts.partner_side):
        return Never(why=f"not the pair that the config pins: {elected.wrong or facts.partner.wrong}")
    return None


def why_not_forgiven(debtor: ClusterId, views: Mapping[ClusterId, ClusterView]) -> str:
    """Why the debt of `debtor` stays; empty where it may be forgiven."""
    view = views.get(debtor)
    if view is None or not view.is_active_primary:
        return ""
    return f"{debtor} is back as an active primary: its debt is what demotes it"

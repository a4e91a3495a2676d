"""What must hold before any effect leaves a daemon in a drill, whatever it is about to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import ClusterId


def ensure_foreseen(
    by: str, what: Sequence[str], ledger: Ledger, ages_s: Mapping[ClusterId, float], *, max_age_s: float
) -> None:
    """Every effect has a durable intent, and what it rests on was looked at a moment ago (I1, I2, I9, I10).

    `by` and `what` name the effect ("vault", ["promote", "west"]); `ages_s` is how old the newest look at each cluster
    is. Publishing a name rests on its target only.
    """
    point = f"{by} {' '.join(what)}"
    run = ledger.run
    assert run is not None, f"{point}: no run holds the slot"
    match by, what:
        case "vault", ["promote", cluster]:
            _ensure_promised(point, ledger, run, ClusterId(cluster))
        case "vault", ["demote", _]:
            assert any(run.step(name).is_unsure for name in ("demote", "demote_source")), f"{point}: no intent"
        case "fence", ["on", cluster]:
            assert run.step("fence").is_unsure, f"{point}: no intent"
            assert ClusterId(cluster) in ledger.fences, f"{point}: nobody will turn it off"
        case "fence", ["off", cluster]:
            debt = ledger.open_debt
            assert debt is None or debt.debtor != cluster, f"{point}: it owes a debt"
        case _:
            assert run.step("publish").is_unsure, f"{point}: no intent"
            ages_s = {run.target: ages_s[run.target]}
    assert max(ages_s.values()) <= max_age_s, f"{point}: looked {ages_s} s ago"


def _ensure_promised(point: str, ledger: Ledger, run: Run, cluster: ClusterId) -> None:
    """From the first byte of a promote there are an epoch and a debt."""
    name = "promote_back" if run.step("promote_back").is_unsure else "promote"
    debt = ledger.open_debt
    assert run.step(name).is_unsure, f"{point}: no intent"
    assert (ledger.elected, ledger.epoch) == (cluster, run.epoch), f"{point}: no epoch"
    assert debt is not None, f"{point}: no debt"
    assert (debt.epoch, debt.creditor) == (run.epoch, cluster), f"{point}: another debt"

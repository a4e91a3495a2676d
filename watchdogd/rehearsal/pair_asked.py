"""What `[pair]` of a scenario asks for: every key of it that is a setting of the pair, and every default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from watchdogd.core.policy import Level, Levels, OnFenceFailure, Timing
from watchdogd.lab.scenario import Scalars, Scenario

DEMO = Timing(
    interval_s=1.0,
    probe_timeout_s=0.8,
    down_after_s=10.0,
    up_after_s=3.0,
    gap_max_s=3.0,
    stale_link_hold_s=10.0,
    stall_after_s=3.0,
    cold_start_s=10.0,
    cooldown_s=0.0,
)
# As the demo, looking half as often: for families of many cases.
COARSE = replace(DEMO, interval_s=2.0, down_rounds=5, stall_after_s=4.0)
TIMINGS: Mapping[str, Timing] = {"demo": DEMO, "coarse": COARSE, "default": Timing()}
PAIR_KEYS = frozenset(
    {
        "timing", "failover", "on_failure", "fence", "sealed_is_down", "tokens", "shares", "vault_token", "names",
        "accept_partition", "two_secondaries", "witness", "cutover_dns", "settle_debt", "max_loss_s",
    }
)  # fmt: skip
# What of it is one of a few words.
CHOICES: Mapping[str, Iterable[str]] = {
    "timing": TIMINGS,
    "failover": Level,
    "cutover_dns": Level,
    "settle_debt": Level,
    "on_failure": OnFenceFailure,
    "two_secondaries": ("alert", "last-primary"),
}
SHARES = ("share_1", "share_2", "share_3")
FENCE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAsked:
    """The settings, whoever writes them down: as a policy or as a config file."""

    levels: Levels
    timing: Timing
    max_loss_s: float
    sealed_is_down: bool
    two_secondaries: Literal["alert", "last-primary"]
    on_failure: OnFenceFailure  # of the fence
    fence_waived: str  # why there is no fence; empty where there is one
    tokens: tuple[str, ...]  # names of DR operation tokens
    shares: tuple[str, ...]  # names of key shares
    has_vault_token: bool
    has_names: bool  # of its nodes, rather than addresses

    @classmethod
    def of(cls, scenario: Scenario) -> Self:
        """Raises: ValueError for a key, or a value, that no scenario knows."""
        given = scenario.pair
        if unknown := sorted(given.keys() - PAIR_KEYS - {field.name for field in fields(Timing)}):
            raise ValueError(f"[pair] unknown {', '.join(unknown)}: known are {', '.join(sorted(PAIR_KEYS))}")
        for key, choices in CHOICES.items():
            if key in given and given[key] not in tuple(choices):
                raise ValueError(f"[pair] {key}: {given[key]!r}: one of {', '.join(choices)}")
        tokens = given.get("tokens", ("a", "b"))
        return cls(
            levels=Levels(
                failover=Level(str(given.get("failover", "auto"))),
                cutover_dns=Level(str(given.get("cutover_dns", "auto"))),
                settle_debt=Level(str(given.get("settle_debt", "auto"))),
                accept_two_primaries_on_partition=given.get("accept_partition") is True,
            ),
            timing=_timing(given),
            max_loss_s=float(str(given.get("max_loss_s", 60.0))),
            sealed_is_down=given.get("sealed_is_down") is True,
            two_secondaries="last-primary" if given.get("two_secondaries") == "last-primary" else "alert",
            on_failure=OnFenceFailure(str(given.get("on_failure", "block"))),
            fence_waived=str(given.get("fence") or ""),
            tokens=tokens if isinstance(tokens, tuple) else (),
            shares=SHARES[: int(str(given.get("shares", 0)))],
            has_vault_token=given.get("vault_token", True) is True,
            has_names=given.get("names") is True,
        )


def _timing(given: Scalars) -> Timing:
    own: dict[str, Any] = {field.name: given[field.name] for field in fields(Timing) if field.name in given}
    return replace(TIMINGS[str(given.get("timing", "demo"))], **own)

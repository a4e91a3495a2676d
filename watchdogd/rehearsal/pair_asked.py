"""What `[pair]` of a scenario asks for: every key of it that is a setting of the pair, and every default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from watchdogd.core.policy import Level, Levels, OnFenceFailure, Timing
from watchdogd.lab.number import Number
from watchdogd.lab.scenario import Scenario
from watchdogd.rehearsal.given import ABOVE_0, FROM_0_ON, ONE_AND_MORE, Given
from watchdogd.rehearsal.lab_settings import DEMO

# As the demo, looking half as often: for families of many cases.
COARSE = replace(DEMO, interval_s=2.0, down_rounds=5, stall_after_s=4.0)
TIMINGS: Mapping[str, Timing] = {"demo": DEMO, "coarse": COARSE, "default": Timing()}
PAIR_KEYS = frozenset(
    {
        "timing", "failover", "on_failure", "fence", "sealed_is_down", "tokens", "shares", "vault_token", "names",
        "accept_partition", "two_secondaries", "witness", "cutover_dns", "settle_debt", "max_loss_s",
    }
)  # fmt: skip
TWO_SECONDARIES: tuple[Literal["alert", "last-primary"], ...] = ("alert", "last-primary")
TOKENS = ("a", "b", "wrong")
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
        given = Given("[pair]", scenario.pair)
        given.only(PAIR_KEYS | {field.name for field in fields(Timing)})
        given.flag("witness", default=False)  # the daemon of a play asks for it by itself
        two_secondaries = given.word("two_secondaries", "alert", TWO_SECONDARIES)
        return cls(
            levels=Levels(
                failover=Level(given.word("failover", "auto", Level)),
                cutover_dns=Level(given.word("cutover_dns", "auto", Level)),
                settle_debt=Level(given.word("settle_debt", "auto", Level)),
                accept_two_primaries_on_partition=given.flag("accept_partition", default=False),
            ),
            timing=_timing(given),
            max_loss_s=given.number("max_loss_s", 60.0, FROM_0_ON),
            sealed_is_down=given.flag("sealed_is_down", default=False),
            two_secondaries=next(word for word in TWO_SECONDARIES if word == two_secondaries),
            on_failure=OnFenceFailure(given.word("on_failure", "block", OnFenceFailure)),
            fence_waived=given.text("fence", ""),
            tokens=given.words("tokens", ("a", "b"), TOKENS),
            shares=SHARES[: int(given.number("shares", 0, Number(least=0, most=len(SHARES), is_whole=True)))],
            has_vault_token=given.flag("vault_token", default=True),
            has_names=given.flag("names", default=False),
        )


def _timing(given: Given) -> Timing:
    usual = TIMINGS[given.word("timing", "demo", TIMINGS)]
    own: dict[str, Any] = {
        field.name: given.number(field.name, getattr(usual, field.name), _number(field.name))
        for field in fields(Timing)
        if field.name in given.table
    }
    return replace(usual, **own)


def _number(name: str) -> Number:
    if name.endswith("_rounds"):
        return ONE_AND_MORE
    return ABOVE_0 if name in ("interval_s", "probe_timeout_s") else FROM_0_ON
